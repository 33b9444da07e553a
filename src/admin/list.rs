//! `GET /keys`: a page of keys, newest first.

use http::StatusCode;
use serde::Serialize;

use super::KEYS_READ;
use super::answer::{Answer, json};
use super::caller::Call;
use super::cursor::{self, Sealed, View};
use super::errors::Errors;
use super::query::Query;
use super::view::KeyView;
use crate::store::{ListQuery, Owner};

/// How many keys a page has at most, if nobody says how many.
const DEFAULT_LIMIT: u32 = 50;

/// The longest page.
const MOST: u32 = 500;

#[derive(Serialize)]
struct Page<'a> {
    keys: Vec<KeyView<'a>>,
    next_cursor: Option<String>,
}

pub(super) async fn list(call: Call) -> Answer {
    call.needs(KEYS_READ)?;
    let mut errors = Errors::default();
    let known = ["owner", "limit", "cursor"];
    let mut query = Query::of(call.parts.uri.query(), &known, &mut errors);
    let owner = query.take("owner", Owner::parse);
    let limit = query.take("limit", limit).unwrap_or(DEFAULT_LIMIT);
    // Whatever is wrong with a cursor comes after all that is wrong with fields.
    let cursor = query.take_unread("cursor");
    errors.check()?;

    let keyring = &call.desk.gate.keyring;
    let view = view(call.confined_to(), owner);
    let after = match cursor {
        None => None,
        Some(text) => {
            let sealed = Sealed::read(&text).ok_or_else(cursor::invalid)?;
            let opened = sealed.open(&keyring.cursor_key().await?, &view);
            Some(opened.ok_or_else(cursor::invalid)?)
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
            ..ListQuery::default()
        })
        .await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = read.value.len() > shown;
    read.value.truncate(shown);
    let next_cursor = match read.value.last() {
        Some(last) if more => {
            let position = (last.created_at, last.id.clone());
            let key = keyring.cursor_key().await?;
            Some(cursor::seal(&key, &view, &position))
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

fn limit(text: &str) -> Result<u32, String> {
    // Digits alone: `parse` would take a sign, too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(limit @ 1..=MOST) if digits => Ok(limit),
        _ => Err(format!("must be a number from 1 to {MOST}")),
    }
}
