//! `GET /keys/{id}`: one key.

use http::StatusCode;

use super::KEYS_READ;
use super::answer::{Answer, Refused, json};
use super::caller::{Call, visible};
use super::errors::Errors;
use super::query::Query;
use super::view::KeyView;

pub(super) async fn read(mut call: Call) -> Answer {
    call.needs(KEYS_READ)?;
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    errors.check()?;
    let id = call.id().await?;
    let read = call.desk.gate.keyring.read(id).await?;
    let key = visible(&call.caller, read.value).ok_or_else(Refused::not_found)?;
    Ok(json(StatusCode::OK, &KeyView::new(&key, read.now)))
}
