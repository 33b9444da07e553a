//! `GET /openapi.json`: the OpenAPI 3.1 document of this API, as it is where it is asked for.

mod refusals;
mod routes;
mod schemas;

use axum::extract::MatchedPath;
use http::StatusCode;
use serde_json::{Map, Value, json};

use self::routes::{Needs, ROUTES, Route};
use super::Desk;
use super::answer::{Answer, json as json_answer};
use super::caller::Call;
use super::errors::Errors;
use super::query::Query;
use crate::openapi::SCHEME;

/// The last part of the path that this is under.
const PATH: &str = "/openapi.json";

pub(super) async fn read(call: Call) -> Answer {
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    errors.check()?;
    let route = call.parts.extensions.get::<MatchedPath>();
    let base = route.and_then(|route| route.as_str().strip_suffix(PATH));
    Ok(json_answer(StatusCode::OK, &document(&call.desk, base)))
}

/// The document of the routes that this desk has, which lie below `base`.
fn document(desk: &Desk, base: Option<&str>) -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| is_there(route, desk)) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "API keys",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Makes, lists, changes and revokes API keys. What is refused is told as a \
                problem (RFC 9457) whose `code` is listed with each answer.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "tags": [
            {"name": "keys", "description": "Keys, one by one."},
            {"name": "many", "description": "Many keys at once."},
            {"name": "leaks", "description": "Reports of keys that were found where they should not be."},
            {"name": "document", "description": "This document."},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {SCHEME: crate::openapi::scheme()},
            "schemas": schemas::all(&desk.gate.keyring),
        },
    });
    // Below a path with parameters of its own, only the application knows where that is.
    if let Some(base) = base.filter(|base| !base.is_empty() && !base.contains('{')) {
        document["servers"] = json!([{ "url": base }]);
    }
    document
}

fn is_there(route: &Route, desk: &Desk) -> bool {
    match route.path {
        "/keys/revoke" => !desk.confines,
        "/leaks" => desk.leaks.is_some(),
        "/leaks/github" => desk
            .leaks
            .as_ref()
            .is_some_and(|leaks| leaks.takes_githubs()),
        _ => true,
    }
}

/// What can be done with a key that was just made: each call that takes its id.
fn links() -> Value {
    let of_a_key = ROUTES.iter().filter(|route| route.path.contains("{id}"));
    of_a_key
        .map(|route| {
            let link = json!({
                "operationId": route.id,
                "parameters": {"id": "$response.body#/key/id"},
            });
            (route.id.to_owned(), link)
        })
        .collect()
}

fn operation(route: &Route) -> Value {
    let security = match route.needs {
        Needs::Scope(scope) => json!([{ SCHEME: [scope] }]),
        Needs::Caller => json!([{ SCHEME: [] }]),
        Needs::Nobody => json!([]),
    };
    let mut operation = json!({
        "tags": [route.tag],
        "operationId": route.id,
        "summary": route.summary,
        "description": route.description,
        "security": security,
        "responses": refusals::of(route),
    });
    let in_path = route.path.contains("{id}").then_some(&routes::ID);
    let parameters = in_path.into_iter().chain(route.parameters);
    let parameters: Vec<Value> = parameters.map(routes::Parameter::document).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &route.body {
        let (schema, example) = schemas::of_body(body.schema);
        operation["requestBody"] = json!({
            "required": true,
            "content": {body.media_type: {"schema": schema, "example": example}},
        });
    }
    let done = &route.done;
    let (schema, example) = schemas::of_answer(done.schema);
    let mut answer = json!({
        "description": done.description,
        "content": {done.media_type: {"schema": schema, "example": example}},
    });
    if done.status == "201" {
        answer["headers"] = json!({"Location": {
            "description": "Where the key is, relative to this list.",
            "schema": {"type": "string"},
        }});
        answer["links"] = links();
    }
    operation["responses"][done.status] = answer;
    operation
}
