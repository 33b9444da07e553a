//! `PATCH /keys/{id}`: what is given replaces what was there, what is absent stays.

use http::StatusCode;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::fields::Fields;
use super::query::Query;
use super::view::KeyView;
use super::{KEYS_WRITE, body, commit};
use crate::keyring::KeyPatch;
use crate::store::KeyName;

pub(super) async fn change(mut call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let id = call.id().await;
    let body = body::read(&call.parts.headers, call.body).await?;
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    let mut fields = Fields::of(body, &["name", "enabled"], &mut errors);
    let patch = KeyPatch {
        name: fields.text("name", KeyName::parse),
        enabled: fields.flag("enabled"),
        ..KeyPatch::default()
    };
    errors.check()?;
    let id = id.ok_or_else(Refused::not_found)?;
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let changed = commit::to_the_end(async move {
        let changed = keyring.update_as(caller.clone(), &id, patch).await?;
        Ok(commit::logged(changed, "changed", &caller))
    })
    .await?;
    Ok(json(
        StatusCode::OK,
        &KeyView::new(&changed.record, changed.now),
    ))
}
