//! `DELETE /keys/{id}/previous`: ends the grace of a rotation.

use http::StatusCode;

use super::KEYS_WRITE;
use super::answer::{Answer, json};
use super::caller::Call;
use super::errors::Errors;
use super::query::Query;
use super::view::KeyView;

pub(super) async fn end(mut call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let id = call.id().await?;
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    errors.check()?;
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let ended = keyring.end_previous_as(caller, &id).await?;
    Ok(json(
        StatusCode::OK,
        &KeyView::new(&ended.record, ended.now),
    ))
}
