//! Every route of the router, and what goes in and comes out.

use serde_json::{Value, json};

use crate::admin::{KEYS_ADMIN, KEYS_READ, KEYS_WRITE};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// A method of a path.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) needs: Needs,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Body>,
    pub(super) done: Done,
    /// The codes of its refusals, beside those that follow from all the rest.
    pub(super) codes: &'static [&'static str],
}

/// Whom it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Scope(&'static str),
    Caller,
    Nobody,
}

/// What is sent.
pub(super) struct Body {
    pub(super) media_type: &'static str,
    pub(super) schema: &'static str,
}

/// What is answered when it is done.
pub(super) struct Done {
    pub(super) status: &'static str,
    pub(super) description: &'static str,
    pub(super) media_type: &'static str,
    pub(super) schema: &'static str,
}

/// A parameter of a request.
pub(super) struct Parameter {
    name: &'static str,
    place: Place,
    description: &'static str,
    schema: fn() -> Value,
}

#[derive(Clone, Copy)]
enum Place {
    Path,
    Query,
    Header,
}

impl Parameter {
    pub(super) fn document(&self) -> Value {
        let (place, required) = match self.place {
            Place::Path => ("path", true),
            Place::Query => ("query", false),
            Place::Header => ("header", false),
        };
        json!({
            "name": self.name,
            "in": place,
            "required": required,
            "description": self.description,
            "schema": (self.schema)(),
        })
    }
}

pub(super) const ID: Parameter = Parameter {
    name: "id",
    place: Place::Path,
    description: "The id of a key.",
    schema: || json!({"type": "string", "examples": [super::schemas::KEY_ID]}),
};

const LIMIT: Parameter = query(
    "limit",
    "How many there are to a page.",
    || json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
);

const CURSOR: Parameter = query(
    "cursor",
    "The `next_cursor` of the page before.",
    || json!({"type": "string"}),
);

const REASON: Parameter = query("reason", "Why, for the trail.", || {
    super::schemas::text(0, 500)
});

const fn query(name: &'static str, description: &'static str, schema: fn() -> Value) -> Parameter {
    Parameter {
        name,
        place: Place::Query,
        description,
        schema,
    }
}

const fn takes(schema: &'static str) -> Body {
    Body {
        media_type: JSON,
        schema,
    }
}

const fn done(status: &'static str, schema: &'static str, description: &'static str) -> Done {
    Done {
        status,
        description,
        media_type: JSON,
        schema,
    }
}

pub(super) const ROUTES: [Route; 15] = [
    Route {
        method: "post",
        path: "/keys",
        tag: "keys",
        id: "createKey",
        summary: "Makes a key",
        description: "The secret is in the answer, and nowhere else ever after. With `digest` and \
            `hint` the secret is made elsewhere, and none comes back.",
        needs: Needs::Scope(KEYS_WRITE),
        parameters: &[Parameter {
            name: "Idempotency-Key",
            place: Place::Header,
            description: "Makes the request safe to repeat for 24 hours: 1 to 255 visible ASCII \
                characters. The answer to a repetition has a fresh secret.",
            schema: || json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
        }],
        body: Some(takes("NewKey")),
        done: done(
            "201",
            "Made",
            "The key, with its secret unless that was made elsewhere.",
        ),
        codes: &[
            "exceeds_caller",
            "entitlement_required",
            "digest_taken",
            "idempotency_key_in_use",
            "idempotency_key_reused",
            "key_expired",
            "key_limit_reached",
            "key_revoked",
            "rate_limited",
            "invalid_idempotency_key",
        ],
    },
    Route {
        method: "get",
        path: "/keys",
        tag: "keys",
        id: "listKeys",
        summary: "Lists keys",
        description: "Newest first. Those of the caller's own owner; with `keys:admin` of everybody.",
        needs: Needs::Scope(KEYS_READ),
        parameters: &[
            query("owner", "Those of this owner.", || {
                super::schemas::text(1, 255)
            }),
            query(
                "status",
                "Those of this status.",
                || json!({"type": "string", "enum": ["active", "disabled", "expired", "revoked"]}),
            ),
            query(
                "environment",
                "Those of this environment.",
                || json!({"$ref": "#/components/schemas/Environment"}),
            ),
            query(
                "expires_before",
                "Those that end before this moment.",
                || json!({"type": "string", "format": "date-time"}),
            ),
            LIMIT,
            CURSOR,
        ],
        body: None,
        done: done("200", "KeyPage", "A page of keys."),
        codes: &["invalid_cursor"],
    },
    Route {
        method: "get",
        path: "/keys/{id}",
        tag: "keys",
        id: "readKey",
        summary: "Shows a key",
        description: "Without its secret, which nobody here has.",
        needs: Needs::Scope(KEYS_READ),
        parameters: &[],
        body: None,
        done: done("200", "Key", "The key."),
        codes: &[],
    },
    Route {
        method: "patch",
        path: "/keys/{id}",
        tag: "keys",
        id: "changeKey",
        summary: "Changes a key",
        description: "What is given replaces what was there, what is absent stays.",
        needs: Needs::Scope(KEYS_WRITE),
        parameters: &[],
        body: Some(takes("KeyPatch")),
        done: done("200", "Key", "The key as it is now."),
        codes: &["exceeds_caller", "key_revoked", "key_expired"],
    },
    Route {
        method: "delete",
        path: "/keys/{id}",
        tag: "keys",
        id: "revokeKey",
        summary: "Revokes a key, for ever",
        description: "For one's own key no scope is needed. Again: the first time and reason are kept.",
        needs: Needs::Scope(KEYS_WRITE),
        parameters: &[REASON],
        body: None,
        done: done("200", "Key", "The key, revoked."),
        codes: &[],
    },
    Route {
        method: "post",
        path: "/keys/{id}/rotate",
        tag: "keys",
        id: "rotateKey",
        summary: "Gives a key another secret",
        description: "The old secret dies at once, or after a grace, never later than the key.",
        needs: Needs::Scope(KEYS_WRITE),
        parameters: &[],
        body: Some(takes("Rotation")),
        done: done("200", "Made", "The key with its new secret."),
        codes: &[
            "exceeds_caller",
            "key_revoked",
            "key_expired",
            "environment_not_declared",
        ],
    },
    Route {
        method: "get",
        path: "/keys/{id}/events",
        tag: "keys",
        id: "listEvents",
        summary: "Shows the trail of a key",
        description: "What was done to it, when and by whom; newest first.",
        needs: Needs::Scope(KEYS_READ),
        parameters: &[LIMIT, CURSOR],
        body: None,
        done: done("200", "EventPage", "A page of the trail."),
        codes: &["invalid_cursor"],
    },
    Route {
        method: "delete",
        path: "/keys/{id}/previous",
        tag: "keys",
        id: "endGrace",
        summary: "Ends the grace of a rotation",
        description: "The secret before the last rotation dies now, if it is still alive.",
        needs: Needs::Scope(KEYS_WRITE),
        parameters: &[],
        body: None,
        done: done("200", "Key", "The key."),
        codes: &[],
    },
    Route {
        method: "get",
        path: "/keys/current",
        tag: "keys",
        id: "readCurrentKey",
        summary: "Shows the key that calls",
        description: "404 for a caller that is not a key.",
        needs: Needs::Caller,
        parameters: &[],
        body: None,
        done: done("200", "Key", "The key."),
        codes: &["not_found"],
    },
    Route {
        method: "delete",
        path: "/keys/current",
        tag: "keys",
        id: "revokeCurrentKey",
        summary: "Revokes the key that calls",
        description: "404 for a caller that is not a key.",
        needs: Needs::Caller,
        parameters: &[REASON],
        body: None,
        done: done("200", "Key", "The key, revoked."),
        codes: &["not_found"],
    },
    Route {
        method: "post",
        path: "/keys/import",
        tag: "many",
        id: "importKeys",
        summary: "Takes keys that were made elsewhere",
        description: "Up to 10,000 lines, each the JSON of a new key with `digest` and `hint`. Each is \
            answered by a line, as soon as it is done: 201, or 200 for what is there already, or a \
            problem for that line alone. To send it again is safe.",
        needs: Needs::Scope(KEYS_WRITE),
        parameters: &[],
        body: Some(Body {
            media_type: NDJSON,
            schema: "Import",
        }),
        done: Done {
            status: "200",
            description: "A line for each line, in their order.",
            media_type: NDJSON,
            schema: "Imported",
        },
        codes: &["rate_limited"],
    },
    Route {
        method: "post",
        path: "/keys/revoke",
        tag: "many",
        id: "emergencyStop",
        summary: "Revokes many keys at once",
        description: "The emergency stop, in one transaction. `created_by` takes all that came from \
            it: the keys that it made, that these made, and so on.",
        needs: Needs::Scope(KEYS_ADMIN),
        parameters: &[],
        body: Some(takes("Stop")),
        done: done("200", "Stopped", "How many keys were revoked."),
        codes: &[],
    },
    Route {
        method: "post",
        path: "/leaks",
        tag: "leaks",
        id: "reportLeaks",
        summary: "Reports leaked keys",
        description: "They are revoked. The answer to a key is that to anything else.",
        needs: Needs::Nobody,
        parameters: &[],
        body: Some(takes("Leaks")),
        done: done("200", "Received", "How many secrets were received."),
        codes: &["rate_limited"],
    },
    Route {
        method: "post",
        path: "/leaks/github",
        tag: "leaks",
        id: "reportLeaksAsGithub",
        summary: "Reports leaked keys, as GitHub's secret scanning does",
        description: "The body is signed (ECDSA on P-256 with SHA-256) by a key that is known here.",
        needs: Needs::Nobody,
        parameters: &[
            Parameter {
                name: "Github-Public-Key-Identifier",
                place: Place::Header,
                description: "By which key it is signed.",
                schema: || json!({"type": "string"}),
            },
            Parameter {
                name: "Github-Public-Key-Signature",
                place: Place::Header,
                description: "The signature of the body, as DER in base64.",
                schema: || json!({"type": "string"}),
            },
        ],
        body: Some(takes("GithubLeaks")),
        done: done("200", "Received", "How many secrets were received."),
        codes: &["rate_limited", "invalid_signature"],
    },
    Route {
        method: "get",
        path: "/openapi.json",
        tag: "document",
        id: "readDocument",
        summary: "Shows this document",
        description: "OpenAPI 3.1.",
        needs: Needs::Caller,
        parameters: &[],
        body: None,
        done: done("200", "Document", "This document."),
        codes: &[],
    },
];
