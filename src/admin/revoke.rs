//! `DELETE /keys/{id}`: revokes a key, for ever.

use http::StatusCode;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::query::Query;
use super::view::KeyView;
use super::{KEYS_WRITE, given};
use crate::key::KeyId;

pub(super) async fn revoke(mut call: Call) -> Answer {
    let id = call.id().await?;
    // Whoever holds a key may end it; that takes no scope.
    if call.own_id().as_ref() != Some(&id) {
        call.needs(KEYS_WRITE)?;
    }
    let reason = reason_in(call.parts.uri.query())?;
    commit(call, id, reason).await
}

/// The parameter `reason`, the only one.
pub(super) fn reason_in(query: Option<&str>) -> Result<Option<String>, Refused> {
    let mut errors = Errors::default();
    let mut query = Query::of(query, &["reason"], &mut errors);
    let reason = query.take("reason", given::reason).flatten();
    errors.check()?;
    Ok(reason)
}

pub(super) async fn commit(call: Call, id: KeyId, reason: Option<String>) -> Answer {
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let revoked = keyring.revoke_as(caller, &id, reason).await?;
    Ok(json(
        StatusCode::OK,
        &KeyView::new(&revoked.record, revoked.now),
    ))
}
