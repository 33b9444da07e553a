//! `POST /keys`: makes a key and hands out its secret, this once.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Serialize;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::fields::Fields;
use super::json::Json;
use super::query::Query;
use super::view::KeyView;
use super::{KEYS_WRITE, body, commit};
use crate::key::Environment;
use crate::keyring::{Expiry, Keyring, Making, NewKey, WriteError};
use crate::lifetime::parse_lifetime;
use crate::scope::{Grant, ScopeSet};
use crate::store::{KeyName, Metadata, Owner, Refusal};
use crate::timestamp::Timestamp;

const FIELDS: [&str; 6] = [
    "name",
    "scopes",
    "owner",
    "environment",
    EXPIRES_AT,
    EXPIRES_IN,
];
const EXPIRES_AT: &str = "expires_at";
const EXPIRES_IN: &str = "expires_in";

/// The one answer that has a secret in it. Not `Debug`, so that it is never printed.
#[derive(Serialize)]
struct Made<'a> {
    key: KeyView<'a>,
    secret: &'a str,
}

pub(super) async fn create(call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let body = body::read(&call.parts.headers, call.body).await?;
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let (new, expiry_field) = new_key(body, call.parts.uri.query(), &keyring)?;
    let created = commit::to_the_end(async move {
        let created = keyring
            .create_as(caller.clone(), new, Making::default())
            .await?;
        commit::log("created", &caller, &created.key);
        Ok(created)
    })
    .await
    .map_err(|error| refused(error, expiry_field))?;
    let made = Made {
        key: KeyView::new(&created.key, created.key.created_at),
        secret: created.secret.expose(),
    };
    let mut response = json(StatusCode::CREATED, &made);
    if let Ok(location) = HeaderValue::try_from(format!("keys/{}", created.key.id)) {
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
    let environment = fields.text("environment", |name| declared(name, keyring));
    let scopes = scopes(&mut fields, keyring);
    let (expiry, expiry_field) = expiry(&mut fields);
    match (name, scopes) {
        (Some(name), Some(scopes)) if errors.is_empty() => {
            let new = NewKey {
                name,
                owner,
                environment,
                scopes,
                expiry,
                metadata: Metadata::default(),
            };
            Ok((new, expiry_field))
        }
        _ => Err(errors.into()),
    }
}

/// Whether an expiry can stand, only the store's clock can tell.
fn refused(error: WriteError, expiry_field: &str) -> Refused {
    match error {
        WriteError::Refused(why @ (Refusal::ExpiryInThePast | Refusal::ExpiryTooFar)) => {
            let mut errors = Errors::default();
            errors.at(format!("#/{expiry_field}"), why);
            errors.into()
        }
        other => other.into(),
    }
}

fn declared(name: &str, keyring: &Keyring) -> Result<Environment, String> {
    let environments = keyring.environments();
    let found = environments.iter().find(|known| known.as_str() == name);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = environments.iter().map(Environment::as_str).collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn scopes(fields: &mut Fields<'_>, keyring: &Keyring) -> Option<ScopeSet> {
    let grants: Vec<Grant> = fields.texts("scopes", |text| {
        let grant: Grant = text.parse().map_err(|error| format!("{error}"))?;
        if keyring.declares(&grant) {
            Ok(grant)
        } else {
            Err(format!("the scope `{grant}` is not declared"))
        }
    })?;
    ScopeSet::new(grants)
        .map_err(|error| fields.wrong("scopes", error))
        .ok()
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
