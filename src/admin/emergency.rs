//! `POST /keys/revoke`: the emergency stop, for many keys at once.

use http::StatusCode;
use serde::Serialize;

use super::answer::{Answer, Refused, json};
use super::caller::Call;
use super::errors::Errors;
use super::fields::Fields;
use super::json::Json;
use super::query::Query;
use super::{KEYS_ADMIN, body, given};
use crate::keyring::WriteError;
use crate::scope::Demand;
use crate::store::{Owner, Provenance, Refusal, Whose};

const WHOSE: [&str; 3] = ["owner", "created_by", "all"];

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Serialize)]
pub(super) struct Stopped {
    revoked: u64,
}

pub(super) async fn revoke_all(call: Call) -> Answer {
    call.needs(KEYS_ADMIN)?;
    let body = body::read(&call.parts.headers, call.body).await?;
    let (whose, reason) = asked_for(body, call.parts.uri.query())?;
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let revoked = keyring.revoke_all_as(caller, whose, reason).await;
    let revoked = revoked.map_err(|error| match error {
        WriteError::Refused(Refusal::CallerLacksScope) => {
            Refused::insufficient_scope(Demand::one(KEYS_ADMIN))
        }
        other => other.into(),
    })?;
    Ok(json(StatusCode::OK, &Stopped { revoked }))
}

fn asked_for(body: Json, query: Option<&str>) -> Result<(Whose, String), Refused> {
    let mut errors = Errors::default();
    Query::of(query, &[], &mut errors);
    let [owner, created_by, all] = WHOSE;
    let known = [owner, created_by, all, "reason"];
    let mut fields = Fields::of(body, &known, &mut errors);
    fields.require("reason");
    let given = WHOSE.iter().filter(|name| fields.has(name)).count();
    if given != 1 {
        fields.wrong_together("must have exactly one of owner, created_by and all");
    }
    let owner = fields.text(owner, Owner::parse).map(Whose::Owner);
    let created_by = fields.text(created_by, provenance).map(Whose::CreatedBy);
    let all = match fields.flag(all) {
        Some(false) => {
            fields.wrong(WHOSE[2], "must be true, or absent");
            None
        }
        all => all.map(|_| Whose::All),
    };
    let reason = fields.text("reason", |text| {
        given::reason(text)?.ok_or_else(|| "must not be empty".to_owned())
    });
    match (owner.or(created_by).or(all), reason) {
        (Some(whose), Some(reason)) if errors.is_empty() => Ok((whose, reason)),
        _ => Err(errors.into()),
    }
}

fn provenance(text: &str) -> Result<Provenance, &'static str> {
    Provenance::from_stored(text)
        .ok_or("must be `key:` or `session:` and an id, `admin-token` or `system`")
}
