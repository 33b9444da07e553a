//! `GET /keys`: a page of keys, newest first.

use http::StatusCode;
use serde::Serialize;

use super::answer::{Answer, json};
use super::caller::Call;
use super::cursor::{self, Filters, View};
use super::errors::Errors;
use super::query::Query;
use super::seal::{self, Sealed};
use super::view::KeyView;
use super::{KEYS_READ, given};
use crate::store::{ListQuery, Owner, Status};
use crate::timestamp::Timestamp;

/// How many entries a page has at most, if nobody says how many.
pub(super) const DEFAULT_LIMIT: u32 = 50;

/// The longest page.
const MOST: u32 = 500;

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KeyPage))]
#[derive(Serialize)]
pub(super) struct Page<'a> {
    keys: Vec<KeyView<'a>>,
    next_cursor: Option<String>,
}

pub(super) async fn list(call: Call) -> Answer {
    call.needs(KEYS_READ)?;
    let mut errors = Errors::default();
    let known = [
        "owner",
        "status",
        "environment",
        "expires_before",
        "limit",
        "cursor",
    ];
    let keyring = &call.desk.gate.keyring;
    let mut query = Query::of(call.parts.uri.query(), &known, &mut errors);
    let owner = query.take("owner", Owner::parse);
    let filters = Filters {
        status: query.take("status", status),
        environment: query.take("environment", |name| given::environment(name, keyring)),
        expires_before: query.take("expires_before", Timestamp::parse),
    };
    let limit = query.take("limit", limit).unwrap_or(DEFAULT_LIMIT);
    // Whatever is wrong with a cursor comes after all that is wrong with fields.
    let cursor = query.take_unread("cursor");
    errors.check()?;

    let view = view(call.confined_to(), owner);
    let after = match cursor {
        None => None,
        Some(text) => {
            let sealed = Sealed::read(&text).ok_or_else(seal::invalid)?;
            let key = keyring.cursor_key().await?;
            let opened = cursor::open(sealed, &key, &view, &filters);
            Some(opened.ok_or_else(seal::invalid)?)
        }
    };
    let owner = match &view {
        View::Everybody => None,
        View::Of(owner) => Some(owner.clone()),
        View::Nothing => {
            let page = Page {
                keys: Vec::new(),
                next_cursor: None,
            };
            return Ok(json(StatusCode::OK, &page));
        }
    };

    // One more than is shown tells whether there is another page.
    let mut read = keyring
        .read_list(ListQuery {
            owner,
            after,
            limit: limit + 1,
            status: filters.status,
            environment: filters.environment.clone(),
            expires_before: filters.expires_before,
        })
        .await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = read.value.len() > shown;
    read.value.truncate(shown);
    let next_cursor = match read.value.last() {
        Some(last) if more => {
            let position = (last.created_at, last.id.clone());
            let key = keyring.cursor_key().await?;
            Some(cursor::seal(&key, &view, &filters, &position))
        }
        _ => None,
    };
    let keys = read.value.iter();
    let page = Page {
        keys: keys.map(|key| KeyView::new(key, read.now)).collect(),
        next_cursor,
    };
    Ok(json(StatusCode::OK, &page))
}

/// What a caller who is confined to one owner, or to none, sees when it asks for this one.
fn view(confined_to: Option<&Owner>, asked_for: Option<Owner>) -> View {
    match (confined_to, asked_for) {
        (None, None) => View::Everybody,
        (None, Some(owner)) => View::Of(owner),
        (Some(own), None) => View::Of(own.clone()),
        (Some(own), Some(owner)) if *own == owner => View::Of(owner),
        (Some(_), Some(_)) => View::Nothing,
    }
}

fn status(text: &str) -> Result<Status, String> {
    let all = [
        Status::Active,
        Status::Disabled,
        Status::Expired,
        Status::Revoked,
    ];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| {
        let words = all.map(Status::as_str);
        format!("must be one of {}", words.join(", "))
    })
}

/// How many entries a page is to have.
pub(super) fn limit(text: &str) -> Result<u32, String> {
    // Digits alone: `parse` would take a sign, too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(limit @ 1..=MOST) if digits => Ok(limit),
        _ => Err(format!("must be a number from 1 to {MOST}")),
    }
}
