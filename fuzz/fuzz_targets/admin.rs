//! Bodies and queries through the admin router, sent by a key that may do a little.
//!
//! The first byte says which call, the rest of its line is the query, and all that follows is the
//! body. Whatever comes, it is answered with less than 500, with nothing of the caller's key, and
//! no key is left behind that may do more than the caller.
#![no_main]

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use portcullis::Keyring;
use portcullis::admin::Admin;
use portcullis::keyring::{Expiry, NewKey};
use portcullis::layer::PeerAddress;
use portcullis::resources::Resources;
use portcullis::scope::ScopeSet;
use portcullis::timestamp::Timestamp;
use portcullis_fuzz::ground;
use portcullis_fuzz::narrower::must_be_narrower;
use serde_json::Value;
use tower::ServiceExt as _;

const TOKEN: &str = "only-an-example-of-forty-characters-long";
const CALLER: &[u8] = ground::LIVING;
const SIBLING: &[u8] = b"of the same owner";
const STRANGER: &[u8] = b"of another owner";

/// What the roles of this application grant.
const ROLES: [(&str, &[&str]); 2] = [("auditor", &["audit:read"]), ("root", &["*"])];

struct World {
    router: Router,
    caller: String,
    ids: [String; 3],
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (line, body) = data.split_at(end.unwrap_or(data.len()));
    let Some((call, query)) = line.split_first() else {
        return;
    };
    let Ok(query) = str::from_utf8(query) else {
        return;
    };
    let runtime = ground::runtime();
    runtime.block_on(async {
        let world = World::new().await;
        let (method, path) = world.call(*call);
        let uri = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        let Ok(uri) = uri.parse::<Uri>() else { return };
        let body = body.get(1..).unwrap_or_default().to_vec();
        attack(&world, &method, uri, body).await;
    });
});

impl World {
    async fn new() -> Self {
        let (keyring, _) = ground::keyring(|builder| {
            let builder = builder.environments(["live", "test"]);
            let roles = ROLES.into_iter();
            roles.fold(builder, |builder, (name, grants)| {
                builder.role(name, "a role", grants.iter().copied())
            })
        });
        let caller = put(
            &keyring,
            CALLER,
            "acme",
            "keys:write reports:* billing:read",
        )
        .await;
        let sibling = put(&keyring, SIBLING, "acme", "reports:read").await;
        let stranger = put(&keyring, STRANGER, "globex", "reports:read").await;
        let admin = Admin::new(keyring)
            .bootstrap_token(TOKEN)
            .expect("long enough");
        Self {
            router: admin.router(),
            caller: ground::secret(CALLER),
            ids: [caller, sibling, stranger],
        }
    }

    fn call(&self, call: u8) -> (Method, String) {
        let [caller, sibling, stranger] = &self.ids;
        match call {
            b'p' => (Method::PATCH, format!("/keys/{sibling}")),
            b'P' => (Method::PATCH, format!("/keys/{caller}")),
            b'f' => (Method::PATCH, format!("/keys/{stranger}")),
            b'r' => (Method::POST, format!("/keys/{sibling}/rotate")),
            b'R' => (Method::POST, format!("/keys/{caller}/rotate")),
            b'i' => (Method::POST, "/keys/import".to_owned()),
            b'x' => (Method::POST, "/keys/revoke".to_owned()),
            b'l' => (Method::GET, "/keys".to_owned()),
            b'e' => (Method::GET, format!("/keys/{sibling}/events")),
            b'd' => (Method::DELETE, format!("/keys/{sibling}")),
            _ => (Method::POST, "/keys".to_owned()),
        }
    }

    async fn ask(&self, token: &str, method: &Method, uri: Uri, body: Vec<u8>) -> (u16, String) {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method.clone();
        let import = uri.path() == "/keys/import";
        *request.uri_mut() = uri;
        let kind = if import {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, kind.parse().expect("a value"));
        headers.insert(
            AUTHORIZATION,
            format!("Bearer {token}").parse().expect("a value"),
        );
        request
            .extensions_mut()
            .insert(PeerAddress([10, 0, 0, 9].into()));
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("it is in memory");
        let text = String::from_utf8(body.to_vec()).expect("JSON is UTF-8");
        (parts.status.as_u16(), text)
    }

    /// All keys as the operator sees them.
    async fn keys(&self) -> Vec<Value> {
        let uri = Uri::from_static("/keys?limit=500");
        let (status, text) = self.ask(TOKEN, &Method::GET, uri, Vec::new()).await;
        assert_eq!(status, 200, "{text}");
        let page: Value = serde_json::from_str(&text).expect("a list is JSON");
        page["keys"].as_array().expect("it has keys").clone()
    }
}

/// A key of this owner that holds this, for some projects and from some addresses, for a year.
async fn put(keyring: &Keyring, seed: &[u8], owner: &str, scopes: &str) -> String {
    let end = Timestamp::parse("2031-01-01T00:00:00Z").expect("a moment");
    let new = NewKey::named("a key")
        .and_then(|new| new.owner(owner))
        .expect("fine");
    let scopes = ScopeSet::from_stored(scopes).expect("scopes");
    let new = new
        .scopes(scopes.iter().map(AsRef::as_ref))
        .expect("they are");
    let new = new.roles(["auditor"]).expect("a role");
    let resources = Resources::new([("project", ["p1", "p2"])]).expect("fine");
    let new = new
        .resources(resources)
        .allowed_ips(["10.0.0.0/8"])
        .expect("networks");
    let record = ground::put(keyring, seed, new.expiry(Expiry::At(end))).await;
    record.id.to_string()
}

async fn attack(world: &World, method: &Method, uri: Uri, body: Vec<u8>) {
    let before = world.keys().await;
    let what = format!("{method} {uri}");
    let (status, text) = world.ask(&world.caller, method, uri, body).await;
    assert!(status < 500, "{what}: {status} {text}");
    assert!(
        !text.contains(&world.caller[14..]),
        "{what}: repeats the caller's key"
    );
    let answer: Value = match text.as_str() {
        lines if lines.starts_with('{') && status == 200 && what.contains("import") => Value::Null,
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or(Value::Null),
    };
    if status >= 400 {
        assert!(
            answer["code"].is_string() && answer["status"] == status,
            "{what}: {text}"
        );
    }
    left_behind(world, &before, status).await;
}

/// What there is now is what there was, or narrower than the caller.
async fn left_behind(world: &World, before: &[Value], status: u16) {
    let [caller_id, sibling, _] = &world.ids;
    let caller = before.iter().find(|key| key["id"] == caller_id.as_str());
    let caller = caller.expect("it called");
    for key in world.keys().await {
        let id = key["id"].as_str().expect("a key has one");
        let earlier = before.iter().find(|key| key["id"] == id);
        if earlier == Some(&key) || earlier.is_some_and(|earlier| same_but_for_use(earlier, &key)) {
            continue;
        }
        assert!(status < 300, "refused, and yet changed: {key}");
        assert!(
            earlier.is_none() || id == sibling || id == caller_id,
            "a stranger's: {key}"
        );
        must_be_narrower(&key, caller, |role| {
            let known = ROLES.iter().find(|(name, _)| *name == role);
            known.map_or_else(Vec::new, |(_, grants)| {
                grants.iter().map(ToString::to_string).collect()
            })
        });
    }
}

fn same_but_for_use(earlier: &Value, now: &Value) -> bool {
    let mut earlier = earlier.clone();
    earlier["last_used_at"] = now["last_used_at"].clone();
    earlier == *now
}
