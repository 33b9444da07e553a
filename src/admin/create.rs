//! `POST /keys`: makes a key and hands out its secret, this once.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Serialize;
use tracing::Instrument as _;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::fields::Fields;
use super::given::{self, Null};
use super::idempotency::{self, Again};
use super::json::Json;
use super::policy::NotMade;
use super::query::Query;
use super::view::KeyView;
use super::{KEYS_WRITE, body};
use crate::key::PlainKey;
use crate::keyring::{Expiry, Keyring, Made, Making, NewKey, WriteError};
use crate::lifetime::parse_lifetime;
use crate::scope::RoleSet;
use crate::store::{KeyName, Owner, Refusal};
use crate::timestamp::Timestamp;

const FIELDS: [&str; 7] = [
    "name",
    "scopes",
    "owner",
    "environment",
    EXPIRES_AT,
    EXPIRES_IN,
    "metadata",
];
const EXPIRES_AT: &str = "expires_at";
const EXPIRES_IN: &str = "expires_in";

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

pub(super) async fn create(call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let address = call.address();
    let body = body::read(&call.parts.headers, call.body).await?;
    let again = Again::asked_for(&call.parts.headers)?;
    let (desk, caller) = (call.desk, call.caller);
    let keyring = desk.gate.keyring.clone();
    let (new, expiry_field) = new_key(body, call.parts.uri.query(), &keyring)?;
    let recognisable = again.map(|again| again.recognisable(&caller, &new));
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
            .permit(&keyring, &caller, &new, None, &making, address)
            .await?;
        Ok(keyring.create_as(caller, new, making).await?)
    };
    let made = tokio::spawn(making.in_current_span())
        .await
        .unwrap_or(Err(WriteError::OutcomeUnknown(None).into()))
        .map_err(|error: NotMade| refused_for(error, expiry_field))?;
    let Made {
        now,
        record,
        secret,
    } = &made;
    let view = KeyView::new(record, *now);
    let mut response = json(StatusCode::CREATED, &Handed::new(view, secret));
    if let Ok(location) = HeaderValue::try_from(format!("keys/{}", record.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The key that is asked for, and the field that its expiry came from.
fn new_key(
    body: Json,
    query: Option<&str>,
    keyring: &Keyring,
) -> Result<(NewKey, &'static str), Refused> {
    let mut errors = Errors::default();
    Query::of(query, &[], &mut errors);
    let mut fields = Fields::of(body, &FIELDS, &mut errors);
    fields.require("name");
    fields.require("scopes");
    let name = fields.text("name", KeyName::parse);
    let owner = fields.text("owner", Owner::parse);
    let environment = fields.text("environment", |name| given::environment(name, keyring));
    let scopes = given::scopes(&mut fields, keyring);
    let (expiry, expiry_field) = expiry(&mut fields);
    let metadata = given::metadata(&mut fields, Null::Wrong).unwrap_or_default();
    match (name, scopes) {
        (Some(name), Some(scopes)) if errors.is_empty() => {
            let new = NewKey {
                name,
                owner,
                environment,
                scopes,
                roles: RoleSet::empty(),
                resources: None,
                allowed_ips: None,
                expiry,
                metadata,
            };
            Ok((new, expiry_field))
        }
        _ => Err(errors.into()),
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

fn expiry(fields: &mut Fields<'_>) -> (Expiry, &'static str) {
    let both = fields.has(EXPIRES_AT) && fields.has(EXPIRES_IN);
    let at = fields.text_or_null(EXPIRES_AT, Timestamp::parse);
    let within = fields.text(EXPIRES_IN, parse_lifetime);
    if both {
        fields.wrong(EXPIRES_IN, "cannot be given together with expires_at");
    }
    match (at, within) {
        (Some(Some(end)), _) => (Expiry::At(end), EXPIRES_AT),
        (Some(None), _) => (Expiry::Never, EXPIRES_AT),
        (None, Some(Some(lifetime))) => (Expiry::In(lifetime), EXPIRES_IN),
        (None, Some(None)) => (Expiry::Never, EXPIRES_IN),
        (None, None) => (Expiry::AsCaller, EXPIRES_AT),
    }
}
