//! `/keys/current`: the very key that calls. Being valid is all that it takes.

use http::StatusCode;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::query::Query;
use super::revoke;
use super::view::KeyView;
use crate::keyring::Dead;
use crate::layer::{Reason, Rejection};

pub(super) async fn read(call: Call) -> Answer {
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    errors.check()?;
    let id = call.own_id().ok_or_else(Refused::not_found)?;
    let read = call.desk.gate.keyring.read(id).await?;
    // Deleted by hand a moment ago: an unknown key.
    let gone = || Rejection::new(Reason::Dead(Dead::Unknown));
    let key = read.value.ok_or_else(gone)?;
    Ok(json(StatusCode::OK, &KeyView::new(&key, read.now)))
}

pub(super) async fn revoke(call: Call) -> Answer {
    let reason = revoke::reason_in(call.parts.uri.query())?;
    let id = call.own_id().ok_or_else(Refused::not_found)?;
    revoke::commit(call, id, reason).await
}
