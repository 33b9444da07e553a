//! `PATCH /keys/{id}`: what is given replaces what was there, what is absent stays.

use http::StatusCode;

use super::answer::{Answer, json};
use super::caller::Call;
use super::create::refused_for;
use super::errors::Errors;
use super::fields::Fields;
use super::given::{self, Null};
use super::query::Query;
use super::restrictions::{allowed_ips, resources};
use super::view::KeyView;
use super::{KEYS_WRITE, body};
use crate::keyring::{End, KeyPatch};
use crate::store::KeyName;
use crate::timestamp::Timestamp;

const EXPIRES_AT: &str = "expires_at";

pub(super) async fn change(mut call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let id = call.id().await?;
    let body = body::read(&call.parts.headers, call.body).await?;
    let (keyring, caller) = (call.desk.gate.keyring.clone(), call.caller);
    let limits = call.desk.rules.limits.clone();
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    let known = [
        "name",
        "scopes",
        "roles",
        "enabled",
        EXPIRES_AT,
        "resources",
        "allowed_ips",
        "metadata",
    ];
    let mut fields = Fields::of(body, &known, &mut errors);
    let patch = KeyPatch {
        name: fields.text("name", KeyName::parse),
        enabled: fields.flag("enabled"),
        scopes: given::scopes(&mut fields, &keyring),
        roles: given::roles(&mut fields, &keyring),
        resources: resources(&mut fields, &keyring, Null::Empty),
        allowed_ips: allowed_ips(&mut fields, Null::Empty),
        expires_at: fields
            .text_or_null(EXPIRES_AT, Timestamp::parse)
            .map(|end| end.map_or(End::Never, End::At)),
        metadata: given::metadata(&mut fields, Null::Empty),
    };
    errors.check()?;
    let changed = keyring
        .update_as(caller, &id, patch, limits)
        .await
        .map_err(|error| refused_for(error, EXPIRES_AT))?;
    Ok(json(
        StatusCode::OK,
        &KeyView::new(&changed.record, changed.now),
    ))
}
