//! `POST /keys`: makes a key and hands out its secret, this once.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Serialize;
use tracing::Instrument as _;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::idempotency::{self, Again};
use super::policy::NotMade;
use super::query::Query;
use super::view::KeyView;
use super::wanted::Wanted;
use super::{KEYS_WRITE, body};
use crate::key::PlainKey;
use crate::keyring::{Imported, Made, Making, WriteError};
use crate::store::{KeyRecord, Refusal};
use crate::timestamp::Timestamp;

/// An answer that has a secret in it: of this endpoint, of the rotation, and of no other. Not
/// `Debug`, so that it is never printed.
#[derive(Serialize)]
pub(super) struct Handed<'a> {
    key: KeyView<'a>,
    secret: &'a str,
}

impl<'a> Handed<'a> {
    pub(super) fn new(key: KeyView<'a>, secret: &'a PlainKey) -> Self {
        Self {
            key,
            secret: secret.expose(),
        }
    }
}

/// A key whose secret whoever asks for it has already.
#[derive(Serialize)]
pub(super) struct Taken<'a> {
    key: KeyView<'a>,
}

impl<'a> Taken<'a> {
    pub(super) fn new(key: KeyView<'a>) -> Self {
        Self { key }
    }
}

/// A key that was made, with its secret if that was made here.
struct Done {
    now: Timestamp,
    record: KeyRecord,
    secret: Option<PlainKey>,
}

pub(super) async fn create(call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let address = call.address();
    let body = body::read(&call.parts.headers, call.body).await?;
    let again = Again::asked_for(&call.parts.headers)?;
    let (desk, caller) = (call.desk, call.caller);
    let keyring = desk.gate.keyring.clone();
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    let wanted = Wanted::read(body, &keyring, &mut errors);
    let Some(Wanted {
        new,
        elsewhere,
        expiry_field,
    }) = wanted
    else {
        return Err(errors.into());
    };
    let recognisable = again.map(|again| again.recognisable(&caller, &new, elsewhere.as_ref()));
    let running = match &recognisable {
        Some(known) => Some(
            desk.running
                .begin(known.by)
                .ok_or_else(idempotency::running)?,
        ),
        None => None,
    };
    let making = Making {
        recognisable,
        limits: desk.rules.limits.clone(),
        ..Making::default()
    };
    // On a task of its own, so that a request that hangs up still counts as running.
    let making = async move {
        let _running = running;
        let rules = &desk.rules;
        rules
            .permit(
                &keyring,
                &caller,
                &new,
                elsewhere.as_ref(),
                &making,
                address,
            )
            .await?;
        match elsewhere {
            None => Ok(keyring.create_as(caller, new, making).await?.into()),
            Some(elsewhere) => {
                let imported = keyring.import_as(caller, new, elsewhere, making).await?;
                Done::of_elsewhere(imported)
            }
        }
    };
    let done = tokio::spawn(making.in_current_span())
        .await
        .unwrap_or(Err(WriteError::OutcomeUnknown(None).into()))
        .map_err(|error: NotMade| refused_for(error, expiry_field))?;
    let view = KeyView::new(&done.record, done.now);
    let mut response = match &done.secret {
        Some(secret) => json(StatusCode::CREATED, &Handed::new(view, secret)),
        None => json(StatusCode::CREATED, &Taken::new(view)),
    };
    if let Ok(location) = HeaderValue::try_from(format!("keys/{}", done.record.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

impl Done {
    fn of_elsewhere((now, imported): (Timestamp, Imported)) -> Result<Self, NotMade> {
        match imported {
            Imported::Made(record) => Ok(Self {
                now,
                record,
                secret: None,
            }),
            // One key is asked for, and this would be another one: with its own scopes and end.
            Imported::Exists(_) => Err(WriteError::Refused(Refusal::DigestTaken).into()),
        }
    }
}

impl From<Made> for Done {
    fn from(made: Made) -> Self {
        Self {
            now: made.now,
            record: made.record,
            secret: Some(made.secret),
        }
    }
}

/// Whether an expiry can stand, only the store's clock can tell; and whom a policy binds, only the
/// caller's own row.
pub(super) fn refused_for(error: impl Into<NotMade>, expiry_field: &str) -> Refused {
    let refusal = match error.into() {
        NotMade::Write(WriteError::Refused(refusal)) => refusal,
        NotMade::Write(error) => return error.into(),
        NotMade::Policy(refused) => return refused,
    };
    let field = match refusal {
        Refusal::ExpiryInThePast | Refusal::ExpiryTooFar | Refusal::LivesTooLong => expiry_field,
        Refusal::EnvironmentNotAllowed => "environment",
        other => return WriteError::Refused(other).into(),
    };
    let mut errors = Errors::default();
    errors.at(format!("#/{field}"), refusal);
    errors.into()
}
