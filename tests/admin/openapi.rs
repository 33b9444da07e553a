//! `GET /openapi.json`, and that it tells of the router what there is.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::Request;
use portcullis::admin::Admin;
use serde_json::{Value, json};

use crate::document;
use crate::world::{ADMIN_TOKEN, World, key_path, request};

on_every_store!(
    it_is_shown_to_every_valid_caller_and_to_nobody_else,
    a_key_and_its_trail_are_what_it_says,
);

/// The methods that the documents and the answers speak of.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// All that there can be is there.
fn whole() -> World {
    World::with(|builder| builder, document::whole)
}

async fn shown(world: &World) -> Value {
    let reply = world.get("/admin/openapi.json", ADMIN_TOKEN).await;
    assert_eq!(reply.status, 200);
    reply.json()
}

fn routes(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| item.as_object().unwrap().keys().cloned().collect();
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

#[tokio::test]
async fn every_path_in_the_code_is_in_it_and_every_path_in_it_is_in_the_code() {
    let sources = [
        include_str!("../../src/admin/mod.rs"),
        include_str!("../../src/admin/leaks/mod.rs"),
    ];
    let mut paths = BTreeSet::new();
    for source in sources {
        for call in source.split(".route(").skip(1) {
            let (_, path) = call.split_once('"').unwrap();
            paths.insert(path.split_once('"').unwrap().0.to_owned());
        }
    }
    let told: BTreeSet<String> = routes(&shown(&whole()).await).into_keys().collect();
    assert_eq!(told, paths);
}

#[tokio::test]
async fn every_method_of_a_path_is_in_it_and_every_method_in_it_is_there() {
    let world = whole();
    for (path, told) in routes(&shown(&world).await) {
        // What is there is said where something is asked for that is not.
        let uri = format!("/admin{}", path.replace("{id}", "key_0123456789abcdef"));
        let request = Request::builder().method("FROB").uri(&uri);
        let reply = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 405, "{path}");
        let allowed = reply.header("allow").split(',').map(str::to_lowercase);
        let allowed: BTreeSet<String> = allowed.filter(|method| method != "head").collect();
        assert_eq!(allowed, told, "{path}");
        assert!(told.iter().all(|method| METHODS.contains(&&**method)));
    }
}

#[tokio::test]
async fn it_tells_of_the_routes_that_are_there_and_where_they_are() {
    let world = World::with(|builder| builder, |admin| admin);
    let told = shown(&world).await;
    assert_eq!(told["servers"], json!([{"url": "/admin"}]));
    assert!(routes(&told).keys().all(|path| !path.starts_with("/leaks")));
    assert!(routes(&told).contains_key("/keys/revoke"));

    let key = world.key("a", &[]).await;
    let customers = Admin::new(world.keyring.clone()).self_service_router();
    let nested = axum::Router::new().nest("/{tenant}", customers.clone());
    for (router, path, servers) in [
        (customers, "/openapi.json", Value::Null),
        (nested, "/acme/openapi.json", Value::Null),
    ] {
        let asking = request(axum::http::Method::GET, path, &key.secret, "");
        let told = world.send_to(router, asking).await.json();
        assert!(!routes(&told).contains_key("/keys/revoke"));
        assert_eq!(told["servers"], servers);
    }
}

#[tokio::test]
async fn every_operation_says_who_may_and_what_is_answered() {
    let told = shown(&whole()).await;
    assert_eq!(told["openapi"], "3.1.0");
    let scheme = &told["components"]["securitySchemes"]["api_key"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
    assert!(scheme["description"].as_str().unwrap().len() > 40);
    let mut ids = BTreeSet::new();
    for (path, item) in told["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{what}"
            );
            let answers = operation["responses"].as_object().unwrap();
            let open = operation["security"] == json!([]);
            assert_eq!(open, path.starts_with("/leaks"), "{what}");
            assert_eq!(answers.contains_key("401"), !open, "{what}");
            let body = operation.get("requestBody").is_some();
            assert_eq!(answers.contains_key("415"), body, "{what}");
            for (status, answer) in answers {
                for (media_type, content) in answer["content"].as_object().unwrap() {
                    if status.starts_with('2') {
                        assert!(!content["example"].is_null(), "{what} {status}");
                        continue;
                    }
                    assert_eq!(media_type, "application/problem+json");
                    for code in content["schema"]["properties"]["code"]["enum"]
                        .as_array()
                        .unwrap()
                    {
                        let examples = content["examples"].as_object().unwrap();
                        let mut values = examples.values().map(|example| &example["value"]);
                        assert!(values.any(|value| value["code"] == *code), "{what} {code}");
                    }
                }
            }
        }
    }
    // Each reference leads somewhere.
    let text = told.to_string();
    for reference in text.split(r##""$ref":"#/components/schemas/"##).skip(1) {
        let (name, _) = reference.split_once('"').unwrap();
        assert!(told["components"]["schemas"][name].is_object(), "{name}");
    }
}

async fn it_is_shown_to_every_valid_caller_and_to_nobody_else(world: World) {
    let key = world.key("a", &[]).await;
    let get = async |token: &str| world.get("/admin/openapi.json", token).await;
    assert_eq!(get(&key.secret).await.text(), get(ADMIN_TOKEN).await.text());
    assert_eq!(get("").await.told(), (401, "missing_credentials"));
    assert_eq!(get("wrong").await.told(), (401, "invalid_token"));
    world.delete(&key_path(&key.id), ADMIN_TOKEN).await;
    assert_eq!(get(&key.secret).await.told(), (401, "invalid_token"));
    let reply = world.get("/admin/openapi.json?a", ADMIN_TOKEN).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
}

async fn a_key_and_its_trail_are_what_it_says(world: World) {
    let told = shown(&world).await;
    let schemas = &told["components"]["schemas"];
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let made = world.made(ADMIN_TOKEN, "").await;
    let key = made.json()["key"].clone();
    assert_eq!(names(&schemas["Key"]["properties"]), names(&key));
    assert_eq!(names(&schemas["Made"]["properties"]), names(&made.json()));
    let path = key_path(&made.holder().id);
    let events = world
        .get(&format!("{path}/events"), ADMIN_TOKEN)
        .await
        .json();
    assert_eq!(names(&schemas["EventPage"]["properties"]), names(&events));
    assert_eq!(
        names(&schemas["Event"]["properties"]),
        names(&events["events"][0])
    );
    // What a create takes is what the document says, and nothing beside it.
    for name in names(&schemas["NewKey"]["properties"]) {
        let body = json!({"name": "n", "scopes": [], name.as_str(): {"x": {}}}).to_string();
        let reply = world.post(ADMIN_TOKEN, body).await;
        let unknown = reply.text().contains("not a field that is known");
        assert!(!unknown, "{name}: {}", reply.text());
    }
}
