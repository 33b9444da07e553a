//! `POST /keys/{id}/rotate`: gives a key another secret, and shows it this once.

use std::time::Duration;

use http::StatusCode;

use super::answer::{Answer, Refused, json};
use super::caller::{Call, visible};
use super::create::Handed;
use super::errors::Errors;
use super::fields::Fields;
use super::query::Query;
use super::view::KeyView;
use super::{KEYS_WRITE, body};
use crate::keyring::LONGEST_GRACE;

pub(super) async fn rotate(mut call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let id = call.id().await?;
    let body = body::read(&call.parts.headers, call.body).await?;
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    let mut fields = Fields::of(body, &["grace_seconds"], &mut errors);
    let most = u32::try_from(LONGEST_GRACE.as_secs()).unwrap_or(u32::MAX);
    let grace = fields.count("grace_seconds", most).unwrap_or(0);
    errors.check()?;

    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let read = keyring.read(id.clone()).await?;
    let environment = match visible(&caller, read.value) {
        Some(key) if keyring.environments().contains(&key.environment) => key.environment,
        Some(_) => return Err(undeclared()),
        // There is nothing to rotate, and that is for the transaction to say: only there is it
        // known whether the caller still is what it was.
        None => keyring.format().default_environment().clone(),
    };
    let grace = Duration::from_secs(grace.into());
    let (rotated, secret) = keyring.rotate_as(caller, &id, &environment, grace).await?;
    let view = KeyView::new(&rotated.record, rotated.now);
    Ok(json(StatusCode::OK, &Handed::new(view, &secret)))
}

/// A secret of that environment would open nothing here.
fn undeclared() -> Refused {
    Refused::problem(StatusCode::CONFLICT, "environment_not_declared").because(
        "the environment of this key is no longer declared, so no secret can be made for it",
    )
}
