//! `DELETE /keys/{id}`: revokes a key, for ever.

use http::StatusCode;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::query::Query;
use super::view::KeyView;
use super::{KEYS_WRITE, commit};

/// The most Unicode scalar values of a reason.
const LONGEST_REASON: usize = 500;

pub(super) async fn revoke(mut call: Call) -> Answer {
    let id = call.id().await;
    // Whoever holds a key may end it; that takes no scope.
    if !id.as_ref().is_some_and(|id| call.is_by(id)) {
        call.needs(KEYS_WRITE)?;
    }
    let mut errors = Errors::default();
    let mut query = Query::of(call.parts.uri.query(), &["reason"], &mut errors);
    let reason = query.take("reason", reason).flatten();
    errors.check()?;
    let id = id.ok_or_else(Refused::not_found)?;
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let revoked = commit::to_the_end(async move {
        let revoked = keyring.revoke_as(caller.clone(), &id, reason).await?;
        Ok(commit::logged(revoked, "revoked", &caller))
    })
    .await?;
    Ok(json(
        StatusCode::OK,
        &KeyView::new(&revoked.record, revoked.now),
    ))
}

/// What somebody says about why; nothing is nothing said.
fn reason(text: &str) -> Result<Option<String>, String> {
    if text.chars().nth(LONGEST_REASON).is_some() {
        return Err(format!("must have at most {LONGEST_REASON} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
