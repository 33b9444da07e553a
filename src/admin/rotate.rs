//! `POST /keys/{id}/rotate`: gives a key another secret, and shows it this once.

use std::time::Duration;

use http::StatusCode;

use super::answer::{Answer, json};
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
    // Where there is nothing that could be rotated, that is for the transaction to say, after all
    // that comes first: only there is it known whether the caller still is what it was.
    let environment = visible(&caller, read.value)
        .map(|key| key.environment)
        .filter(|environment| keyring.environments().contains(environment))
        .unwrap_or_else(|| keyring.format().default_environment().clone());
    let grace = Duration::from_secs(grace.into());
    let (rotated, secret) = keyring.rotate_as(caller, &id, &environment, grace).await?;
    let view = KeyView::new(&rotated.record, rotated.now);
    Ok(json(StatusCode::OK, &Handed::new(view, &secret)))
}
