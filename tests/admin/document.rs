//! What the OpenAPI document says can be answered. Every answer of these tests is held against it.

use std::collections::BTreeSet;

use axum::Router;
use axum::http::Method;
use http_body_util::BodyExt as _;
use p256::ecdsa::SigningKey;
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use portcullis::Keyring;
use portcullis::admin::{Admin, LeakReports, ScanningKeys};
use portcullis::store::MemoryStore;
use serde_json::Value;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;

use crate::canary;
use crate::world::{ADMIN_TOKEN, request};

/// An answer, by its route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Empty where it is no problem.
    pub(crate) code: String,
}

/// By whom reports of leaks are signed, under the name `one`.
pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_slice(&[1; 32]).unwrap()
}

/// With every route that there can be.
pub(crate) fn whole(admin: Admin) -> Admin {
    let pem = signing_key()
        .verifying_key()
        .to_public_key_pem(LineEnding::LF);
    let keys = ScanningKeys::new([("one", pem.unwrap())]).unwrap();
    admin.leak_reports(LeakReports::new().github(keys)).unwrap()
}

/// All that the document says can be answered.
pub(crate) async fn documented() -> &'static BTreeSet<Told> {
    static DOCUMENTED: OnceCell<BTreeSet<Told>> = OnceCell::const_new();
    DOCUMENTED.get_or_init(read).await
}

async fn read() -> BTreeSet<Told> {
    canary::listen();
    let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build();
    let admin = Admin::new(keyring.unwrap()).bootstrap_token(ADMIN_TOKEN);
    let router: Router = whole(admin.unwrap()).router();
    let asking = request(Method::GET, "/openapi.json", ADMIN_TOKEN, "");
    let answer = router.oneshot(asking).await.unwrap().into_body();
    let document = answer.collect().await.unwrap().to_bytes();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let problem = &answer["content"]["application/problem+json"];
                let codes = problem["schema"]["properties"]["code"]["enum"].as_array();
                let codes: Vec<&str> = match codes {
                    Some(codes) => codes.iter().map(|code| code.as_str().unwrap()).collect(),
                    None => vec![""],
                };
                documented.extend(codes.into_iter().map(|code| Told {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    status: status.parse().unwrap(),
                    code: code.to_owned(),
                }));
            }
        }
    }
    documented
}

/// The path in the document that leads to where this leads, wherever the router is.
fn route(path: &str) -> Option<&'static str> {
    let mut parts: Vec<&str> = path.split('/').collect();
    let begin = parts
        .iter()
        .rposition(|part| ["keys", "leaks", "openapi.json"].contains(part))?;
    Some(match &parts.split_off(begin)[..] {
        ["openapi.json"] => "/openapi.json",
        ["leaks"] => "/leaks",
        ["leaks", "github"] => "/leaks/github",
        ["keys"] => "/keys",
        ["keys", "current"] => "/keys/current",
        ["keys", "import"] => "/keys/import",
        ["keys", "revoke"] => "/keys/revoke",
        ["keys", _] => "/keys/{id}",
        ["keys", _, "rotate"] => "/keys/{id}/rotate",
        ["keys", _, "events"] => "/keys/{id}/events",
        ["keys", _, "previous"] => "/keys/{id}/previous",
        _ => return None,
    })
}

/// Panics if an answer of a route is not in the document. What comes before routes, an unknown path
/// or a wrong method, has no content type.
pub(crate) async fn check(
    method: &Method,
    path: &str,
    status: u16,
    content_type: &str,
    code: &str,
) {
    if content_type.is_empty() {
        assert!([404, 405].contains(&status), "{method} {path}: {status}");
        return;
    }
    let route = route(path).unwrap_or_else(|| panic!("{method} {path} has no route"));
    let asks_for_headers = method == Method::HEAD;
    let method = if asks_for_headers {
        "GET"
    } else {
        method.as_str()
    };
    let documented = documented().await;
    let is_documented = documented.iter().any(|told| {
        let same = (&*told.method, &*told.path, told.status) == (method, route, status);
        same && (asks_for_headers || told.code == code)
    });
    assert!(
        is_documented,
        "the document does not have: {method} {route} {status} {code:?}"
    );
}
