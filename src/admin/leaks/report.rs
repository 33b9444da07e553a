//! `POST /leaks`: whoever holds a key may report it, and so end it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use tracing::Instrument as _;

use crate::admin::answer::{Answer, Refused, json};
use crate::admin::errors::Errors;
use crate::admin::fields::Fields;
use crate::admin::query::Query;
use crate::admin::{Desk, body};
use crate::key::KeyDigest;
use crate::keyring::{Keyring, WriteError};
use crate::store::StoreErrorKind;

/// The most secrets in a report.
const MOST: usize = 100;

/// A request that anybody may make.
pub(in crate::admin) struct Report {
    pub(super) desk: Arc<Desk>,
    pub(super) parts: Parts,
    pub(super) body: Body,
}

/// What is said of any report. How many of these were keys is nobody's business.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Serialize)]
pub(in crate::admin) struct Received {
    received: usize,
}

impl Report {
    pub(in crate::admin) fn new(desk: Arc<Desk>, request: Request) -> Self {
        let (parts, body) = request.into_parts();
        Self { desk, parts, body }
    }
}

pub(super) async fn report(report: Report) -> Answer {
    let Report { desk, parts, body } = report;
    // There is no such route where it is not.
    let intake = desk.leaks.as_deref().ok_or_else(Refused::not_found)?;
    // The address first: who has come to its limit takes nothing from others, nor is read.
    if let Some(address) = desk.gate.client(&parts.headers, &parts.extensions) {
        intake.limits.count_for(address)?;
    }
    let body = body::read(&parts.headers, body).await?;
    let mut errors = Errors::default();
    Query::of(parts.uri.query(), &[], &mut errors);
    let mut fields = Fields::of(body, &["secrets"], &mut errors);
    fields.require("secrets");
    let keyring = &desk.gate.keyring;
    let digests = fields.texts("secrets", |secret| Ok::<_, &str>(keyring.digest_of(secret)));
    if digests
        .as_ref()
        .is_some_and(|digests| !(1..=MOST).contains(&digests.len()))
    {
        fields.wrong("secrets", format_args!("must have 1 to {MOST} of them"));
    }
    errors.check()?;
    let digests = digests.unwrap_or_default();
    if digests.iter().any(Option::is_some) {
        intake.limits.count()?;
    }
    answer(keyring, digests).await
}

/// Revokes what these open, and says how many they are.
pub(super) async fn answer(keyring: &Keyring, digests: Vec<Option<KeyDigest>>) -> Answer {
    let received = digests.len();
    let digests: BTreeSet<KeyDigest> = digests.into_iter().flatten().collect();
    if digests.is_empty() {
        // Of which there may be any number, and nobody needs to hear of it.
        return Ok(json(StatusCode::OK, &Received { received }));
    }
    let keyring = keyring.clone();
    // On a task of its own: whoever reports and leaves has reported all the same.
    let work = async move { revoke(&keyring, digests).await };
    let revoked = tokio::spawn(work.in_current_span())
        .await
        .unwrap_or(Err(WriteError::OutcomeUnknown(None)));
    match revoked {
        Ok(revoked) => {
            tracing::warn!(received, revoked, "secrets were reported as leaked");
            Ok(json(StatusCode::OK, &Received { received }))
        }
        // Also where nobody knows whether it was done: to report it again does no harm.
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(
                error,
                received,
                "keys that were reported as leaked may be alive"
            );
            Err(Refused::unavailable())
        }
    }
}

/// How many keys these opened.
async fn revoke(keyring: &Keyring, digests: BTreeSet<KeyDigest>) -> Result<usize, WriteError> {
    let (mut revoked, mut unreadable) = (0, None);
    for digest in digests {
        match keyring.revoke_holder(digest).await {
            Ok(holder) => revoked += usize::from(holder.is_some()),
            // One row that nobody can read is no reason to leave the others alive.
            Err(WriteError::Store(error)) if error.kind() == StoreErrorKind::Corrupt => {
                unreadable = Some(WriteError::Store(error));
            }
            Err(error) => return Err(error),
        }
    }
    unreadable.map_or(Ok(revoked), Err)
}
