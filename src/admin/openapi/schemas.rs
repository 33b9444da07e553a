//! What the bodies look like. Those of answers follow from the types that are written; those of
//! requests are told here, since what is read is read member by member.

use serde_json::{Value, json};
use utoipa::PartialSchema;

use crate::admin::emergency::Stopped;
use crate::admin::events::{self, DetailView, EventView};
use crate::admin::leaks::Received;
use crate::admin::list;
use crate::admin::view::{KeyView, PreviousView};
use crate::key::Environment;
use crate::keyring::Keyring;

/// What a name has none of: control characters, and what turns the direction of writing.
macro_rules! controls {
    () => {
        r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    };
}

/// An id, for examples.
pub(super) const KEY_ID: &str = "key_2tVq8YbRw0cN5sKdXe3uZg";

/// Neither control characters nor bidirectional controls, and one that is no space.
const NAME: &str = concat!(
    "^[^",
    controls!(),
    "]*[^\\s",
    controls!(),
    "][^",
    controls!(),
    "]*$"
);

/// Every schema by its name.
pub(super) fn all(keyring: &Keyring) -> Value {
    let environments = keyring.environments().iter();
    let environments: Vec<&str> = environments.map(Environment::as_str).collect();
    let mut key = derived::<KeyView<'_>>();
    key["properties"]["status"]["enum"] = json!(["active", "disabled", "expired", "revoked"]);
    key["properties"]["metadata"] = json!({"type": "object"});
    let mut event = derived::<EventView<'_>>();
    event["properties"]["what"]["enum"] = json!(events::kinds());
    json!({
        "Key": whole(key),
        "Previous": whole(derived::<PreviousView<'_>>()),
        "KeyPage": whole(derived::<list::Page<'_>>()),
        "Made": {
            "type": "object",
            "properties": {
                "key": {"$ref": "#/components/schemas/Key"},
                "secret": {"type": "string", "description": "Shown this once."},
            },
            "required": ["key"],
        },
        "Event": whole(event),
        "Detail": derived::<DetailView<'_>>(),
        "EventPage": whole(derived::<events::Page<'_>>()),
        "Stopped": derived::<Stopped>(),
        "Received": derived::<Received>(),
        "Problem": problem(),
        "Environment": {
            "type": "string", "enum": environments, "description": "One that is declared.",
        },
        "Roles": roles(keyring),
        "Resources": {
            "type": "object",
            "description": "Of each kind the ids. What is not named is not allowed.",
            "maxProperties": 100,
            "propertyNames": {"pattern": "^[A-Za-z0-9._-]{1,64}$"},
            "additionalProperties": {
                "type": "array",
                "items": text(1, 255),
            },
        },
        "NewKey": new_key(),
        "KeyPatch": key_patch(),
        "Rotation": {
            "type": "object",
            "properties": {
                "grace_seconds": {"type": "integer", "minimum": 0, "maximum": 2_592_000, "default": 0},
            },
            "additionalProperties": false,
        },
        "Stop": stop(),
        "Leaks": {
            "type": "object",
            "properties": {"secrets": {
                "type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100,
            }},
            "required": ["secrets"],
            "additionalProperties": false,
        },
        "GithubLeaks": {
            "type": "array",
            "maxItems": 1000,
            "items": {
                "type": "object",
                "properties": {
                    "token": {"type": "string"},
                    // What GitHub says beside it is not looked at.
                    "type": {},
                    "url": {},
                    "source": {},
                },
                "required": ["token"],
            },
        },
    })
}

/// The schema of a body that is sent, and an example of it.
pub(super) fn of_body(name: &str) -> (Value, Value) {
    let example = match name {
        "NewKey" => json!({
            "name": "nightly export", "owner": "acme-corp", "scopes": ["reports:read"],
            "expires_in": "90d",
        }),
        "KeyPatch" => json!({"name": "weekly export", "enabled": false}),
        "Rotation" => json!({"grace_seconds": 3600}),
        "Stop" => json!({"owner": "acme-corp", "reason": "laptop stolen"}),
        "Leaks" => json!({"secrets": ["acme_live_…"]}),
        "GithubLeaks" => json!([{
            "token": "acme_live_…", "type": "acme_key", "url": "https://github.com/a/b/blob/c",
            "source": "content",
        }]),
        _ => {
            let lines =
                json!({"name": "n", "scopes": [], "digest": "ba78…15ad", "hint": "acme_live_3Jd4"});
            // Lines, which no schema tells of.
            return (json!({}), lines.to_string().into());
        }
    };
    (reference(name), example)
}

/// The schema of a body that is answered, and an example of it.
pub(super) fn of_answer(name: &str) -> (Value, Value) {
    let example = match name {
        "Made" => json!({"key": key(), "secret": "acme_live_3Jd4…"}),
        "Key" => key(),
        "KeyPage" => json!({"keys": [key()], "next_cursor": null}),
        "EventPage" => json!({
            "events": [{
                "id": "42", "at": "2030-01-01T00:00:00Z", "what": "changed", "by": "admin-token",
                "detail": {"fields": ["name"]},
            }],
            "next_cursor": null,
        }),
        "Stopped" => json!({"revoked": 12}),
        "Received" => json!({"received": 1}),
        "Document" => return (json!({"type": "object"}), json!({"openapi": "3.1.0"})),
        _ => {
            let line = json!({"line": 1, "status": 201, "key": key()});
            return (json!({"type": "string"}), line.to_string().into());
        }
    };
    (reference(name), example)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn derived<S: PartialSchema>() -> Value {
    serde_json::to_value(S::schema()).unwrap_or_default()
}

/// Whose members are all there, be it as null.
fn whole(mut schema: Value) -> Value {
    let names = schema["properties"].as_object().map(|properties| {
        let names = properties.keys();
        names.cloned().collect::<Vec<_>>()
    });
    schema["required"] = names.unwrap_or_default().into();
    schema
}

fn key() -> Value {
    json!({
        "id": KEY_ID,
        "name": "nightly export",
        "owner": "acme-corp",
        "environment": "live",
        "hint": "acme_live_3Jd4",
        "scopes": ["reports:read"],
        "roles": [],
        "resources": {"project": ["p1"]},
        "allowed_ips": null,
        "metadata": {},
        "enabled": true,
        "status": "active",
        "created_at": "2030-01-01T00:00:00Z",
        "created_by": "admin-token",
        "expires_at": "2030-04-01T00:00:00Z",
        "last_used_at": null,
        "revoked_at": null,
        "revoked_by": null,
        "revoked_reason": null,
        "previous": null,
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem (RFC 9457).",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "The word for machines."},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "What is wrong, field by field.",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {"type": "string", "description": "In the body (RFC 6901)."},
                        "parameter": {"type": "string", "description": "In the query."},
                        "detail": {"type": "string"},
                    },
                    "required": ["detail"],
                },
            },
        },
        "required": ["type", "title", "status", "code"],
    })
}

fn scopes() -> Value {
    json!({
        "type": "array",
        "maxItems": 100,
        "items": {"type": "string", "pattern": "^([A-Za-z0-9._:-]{1,64}|([A-Za-z0-9._:-]{1,62}:)?\\*)$"},
    })
}

/// Those that the application knows: any other is refused.
fn roles(keyring: &Keyring) -> Value {
    let known = keyring.roles().iter();
    let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
    let most = if known.is_empty() { 0 } else { 100 };
    let mut roles = json!({"type": "array", "maxItems": most, "items": {"type": "string"}});
    if !known.is_empty() {
        roles["items"]["enum"] = known.into();
    }
    roles
}

/// Of so many characters at least and at most, none of them a control character.
pub(super) fn text(least: usize, most: usize) -> Value {
    json!({
        "type": "string", "minLength": least, "maxLength": most,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    })
}

fn networks(types: &Value) -> Value {
    json!({
        "type": types,
        "description": "Addresses and networks, such as `192.0.2.0/24`.",
        "minItems": 1,
        "maxItems": 100,
        "items": {"type": "string"},
    })
}

fn name() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 100,
        "description": "1 to 100 characters after trimming, no control characters.",
        "pattern": NAME,
    })
}

fn new_key() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": name(),
            "scopes": scopes(),
            "roles": reference("Roles"),
            "owner": text(1, 255),
            "environment": reference("Environment"),
            "expires_at": {"type": ["string", "null"], "format": "date-time"},
            "expires_in": {
                "type": "string", "pattern": "^([1-9][0-9]{0,4}[smhdy]|never)$",
                "description": "Instead of `expires_at`: `90d`, `12h`, `1y`, `never`.",
            },
            "resources": reference("Resources"),
            "allowed_ips": networks(&json!("array")),
            "metadata": {"type": "object", "description": "At most 4 KiB."},
            "digest": {
                "type": "string", "pattern": "^[0-9a-f]{64}$",
                "description": "Of a secret that was made elsewhere; together with `hint`.",
            },
            "hint": {"type": "string", "description": "The beginning of that secret."},
        },
        "required": ["name", "scopes"],
        "dependentRequired": {"digest": ["hint"], "hint": ["digest"]},
        "not": {"required": ["expires_at", "expires_in"]},
        "additionalProperties": false,
    })
}

fn key_patch() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": name(),
            "scopes": scopes(),
            "roles": reference("Roles"),
            "enabled": {"type": "boolean"},
            "expires_at": {"type": ["string", "null"], "format": "date-time"},
            "resources": {"oneOf": [{"type": "null"}, reference("Resources")]},
            "allowed_ips": networks(&json!(["array", "null"])),
            "metadata": {"type": ["object", "null"]},
        },
        "additionalProperties": false,
    })
}

fn stop() -> Value {
    json!({
        "type": "object",
        "properties": {
            "owner": text(1, 255),
            "created_by": {
                "type": "string",
                "pattern": "^(key:key_[0-9A-Za-z]{16,32}|session:[!-~]{1,255}|admin-token|system)$",
                "description": "`key:` or `session:` and an id, `admin-token` or `system`.",
            },
            "all": {"const": true},
            "reason": text(1, 500),
        },
        "required": ["reason"],
        "oneOf": [
            {"required": ["owner"]}, {"required": ["created_by"]}, {"required": ["all"]},
        ],
        "additionalProperties": false,
    })
}
