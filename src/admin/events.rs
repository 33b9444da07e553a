//! `GET /keys/{id}/events`: the trail of a key, newest first.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use super::KEYS_READ;
use super::answer::{Answer, Refused, json};
use super::caller::{Call, visible};
use super::errors::Errors;
use super::list::{DEFAULT_LIMIT, limit};
use super::query::Query;
use super::seal::{self, Seal, Sealed};
use crate::key::KeyId;
use crate::store::{EventDetail, EventQuery, RecordedEvent};
use crate::timestamp::Timestamp;

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EventPage))]
#[derive(Serialize)]
pub(super) struct Page<'a> {
    events: Vec<EventView<'a>>,
    next_cursor: Option<String>,
}

/// A line of the trail in JSON, its members in this order.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Event))]
#[derive(Serialize)]
pub(super) struct EventView<'a> {
    id: String,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    at: String,
    what: &'static str,
    by: String,
    detail: DetailView<'a>,
}

/// What else there is to say; what is not said is left out.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Detail))]
#[derive(Serialize)]
pub(super) struct DetailView<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    fields: &'a [Cow<'static, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    previous_until: Option<String>,
    #[serde(skip_serializing_if = "<&bool as std::ops::Not>::not")]
    repeated: bool,
}

pub(super) async fn list(mut call: Call) -> Answer {
    call.needs(KEYS_READ)?;
    let mut errors = Errors::default();
    let mut query = Query::of(call.parts.uri.query(), &["limit", "cursor"], &mut errors);
    let limit = query.take("limit", limit).unwrap_or(DEFAULT_LIMIT);
    // Whatever is wrong with a cursor comes after all that is wrong with fields.
    let cursor = query.take_unread("cursor").map(Cow::into_owned);
    errors.check()?;
    let id = call.id().await?;
    let keyring = &call.desk.gate.keyring;
    let before = match cursor {
        None => None,
        Some(text) => {
            let sealed = Sealed::read(&text).ok_or_else(seal::invalid)?;
            let opened = about(&keyring.cursor_key().await?, &id).open(sealed);
            let seq = opened.and_then(|position| position.try_into().ok());
            Some(seq.map(u64::from_be_bytes).ok_or_else(seal::invalid)?)
        }
    };
    // Whose key it was is gone with the key, so that only who may see those of everybody goes on.
    let key = keyring.read(id.clone()).await?.value;
    let gone = key.is_none();
    let in_view = visible(&call.caller, key).is_some();
    let sees_what_is_gone = gone && call.confined_to().is_none();
    if !in_view && !sees_what_is_gone {
        return Err(Refused::not_found());
    }

    // One more than is shown tells whether there is another page.
    let query = EventQuery {
        key: Some(id.clone()),
        before,
        limit: limit + 1,
    };
    let mut events = keyring.events(query).await?;
    if gone && before.is_none() && events.is_empty() {
        return Err(Refused::not_found());
    }
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = events.len() > shown;
    events.truncate(shown);
    let next_cursor = match events.last() {
        Some(last) if more => {
            let seal = about(&keyring.cursor_key().await?, &id);
            Some(seal.close(last.seq.to_be_bytes()))
        }
        _ => None,
    };
    let page = Page {
        events: events.iter().map(EventView::new).collect(),
        next_cursor,
    };
    Ok(json(StatusCode::OK, &page))
}

/// The words for what was done.
#[cfg(feature = "openapi")]
pub(super) fn kinds() -> [&'static str; 8] {
    use crate::store::EventKind::{
        Changed, Created, Disabled, Enabled, Imported, PreviousEnded, Revoked, Rotated,
    };
    let all = [
        Created,
        Imported,
        Changed,
        Enabled,
        Disabled,
        Rotated,
        PreviousEnded,
        Revoked,
    ];
    all.map(crate::store::EventKind::as_str)
}

fn about(key: &[u8; 32], id: &KeyId) -> Seal {
    Seal::new(key, "portcullis events newest first").and(id.as_str().as_bytes())
}

impl<'a> EventView<'a> {
    fn new(recorded: &'a RecordedEvent) -> Self {
        let event = &recorded.event;
        // Every detail by name, so that a new one cannot be overlooked here.
        let EventDetail {
            fields,
            enabled,
            reason,
            previous_until,
            repeated,
        } = &event.detail;
        Self {
            // A text: numbers of this size are not the same to everybody who reads JSON.
            id: recorded.seq.to_string(),
            at: event.at.to_string(),
            what: event.what.as_str(),
            by: event.by.to_string(),
            detail: DetailView {
                fields,
                enabled: *enabled,
                reason: reason.as_deref(),
                previous_until: previous_until.as_ref().map(Timestamp::to_string),
                repeated: *repeated,
            },
        }
    }
}
