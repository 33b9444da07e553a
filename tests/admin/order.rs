//! Of several things that are wrong, the first in the order is answered.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::{Method, Request};

use crate::world::{ADMIN_TOKEN, Holder, World};

on_every_store!(
    a_change_answers_the_first_thing_that_is_wrong,
    a_list_answers_the_first_thing_that_is_wrong,
);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Path,
    Method,
    Repeated,
    Missing,
    Token,
    Scope,
    Size,
    Type,
    Syntax,
    Field,
    Existence,
    Authority,
    State,
}

/// What can be wrong with a change, in the order of the answers.
const FAULTS: [(Fault, (u16, &str)); 13] = [
    (Fault::Path, (404, "")),
    (Fault::Method, (405, "")),
    (Fault::Repeated, (400, "invalid_request")),
    (Fault::Missing, (401, "missing_credentials")),
    (Fault::Token, (401, "invalid_token")),
    (Fault::Scope, (403, "insufficient_scope")),
    (Fault::Size, (413, "payload_too_large")),
    (Fault::Type, (415, "unsupported_media_type")),
    (Fault::Syntax, (400, "invalid_json")),
    (Fault::Field, (422, "invalid_field")),
    (Fault::Existence, (404, "not_found")),
    (Fault::Authority, (403, "exceeds_caller")),
    (Fault::State, (409, "key_revoked")),
];

struct Cast {
    writer: Holder,
    reader: Holder,
    weak: Holder,
    strong: Holder,
    weak_and_revoked: Holder,
    strong_and_revoked: Holder,
}

async fn a_change_answers_the_first_thing_that_is_wrong(world: World) {
    let cast = Cast {
        writer: world.key("a", &["keys:write"]).await,
        reader: world.key("a", &["keys:read"]).await,
        weak: world.key("a", &[]).await,
        strong: world.key("a", &["*"]).await,
        weak_and_revoked: world.key("a", &[]).await,
        strong_and_revoked: world.key("a", &["*"]).await,
    };
    for dead in [&cast.weak_and_revoked, &cast.strong_and_revoked] {
        let id = dead.id.parse().unwrap();
        world.keyring.revoke(&id, None).await.unwrap();
    }
    let told = async |faults: &[Fault]| world.send(change(&cast, faults)).await.told();
    assert_eq!(told(&[]).await, (200, ""), "nothing is wrong");
    for (at, (first, expected)) in FAULTS.into_iter().enumerate() {
        assert_eq!(told(&[first]).await, expected, "{first:?}");
        for (second, _) in &FAULTS[at + 1..] {
            let told = told(&[first, *second]).await;
            assert_eq!(told, expected, "{first:?} before {second:?}");
        }
        let rest: Vec<Fault> = FAULTS[at..].iter().map(|(fault, _)| *fault).collect();
        assert_eq!(told(&rest).await, expected, "{first:?} before all others");
    }
}

fn change(cast: &Cast, faults: &[Fault]) -> Request<Body> {
    let has = |fault| faults.contains(&fault);
    let target = match (has(Fault::Authority), has(Fault::State)) {
        (true, true) => &cast.strong_and_revoked,
        (true, false) => &cast.strong,
        (false, true) => &cast.weak_and_revoked,
        (false, false) => &cast.weak,
    };
    let id = if has(Fault::Existence) {
        "key_0123456789abcdef"
    } else {
        &target.id
    };
    let end = if has(Fault::Path) { "/nowhere" } else { "" };
    let query = if has(Fault::Field) { "?x=1" } else { "" };
    let body = if has(Fault::Size) {
        "[".repeat(65_537)
    } else if has(Fault::Syntax) {
        "{".to_owned()
    } else if has(Fault::Field) {
        r#"{"name":1}"#.to_owned()
    } else {
        r#"{"name":"n"}"#.to_owned()
    };
    let token = if has(Fault::Token) {
        "nonsense"
    } else if has(Fault::Scope) {
        &cast.reader.secret
    } else {
        &cast.writer.secret
    };
    let line = if has(Fault::Missing) {
        HeaderValue::from_static("Basic YTpi")
    } else {
        HeaderValue::try_from(format!("Bearer {token}")).unwrap()
    };
    let mut request = Request::builder()
        .method(if has(Fault::Method) {
            Method::PUT
        } else {
            Method::PATCH
        })
        .uri(format!("/admin/keys/{id}{end}{query}"))
        .header(AUTHORIZATION, &line);
    if has(Fault::Repeated) {
        request = request.header(AUTHORIZATION, &line);
    }
    let content_type = if has(Fault::Type) {
        "text/plain"
    } else {
        "application/json"
    };
    let request = request.header(CONTENT_TYPE, content_type);
    request.body(Body::from(body)).unwrap()
}

async fn a_list_answers_the_first_thing_that_is_wrong(world: World) {
    let nobody = world.key("a", &[]).await.secret;
    let reader = world.key("a", &["keys:read"]).await.secret;
    for (token, query, told) in [
        ("nonsense", "?limit=0&cursor=x", (401, "invalid_token")),
        (&*nobody, "?limit=0&cursor=x", (403, "insufficient_scope")),
        (ADMIN_TOKEN, "?limit=0&cursor=x", (422, "invalid_field")),
        (ADMIN_TOKEN, "?cursor=x", (400, "invalid_cursor")),
        (&reader, "?owner=b&cursor=x", (400, "invalid_cursor")),
    ] {
        let reply = world.get(&format!("/admin/keys{query}"), token).await;
        assert_eq!(reply.told(), told, "{query}");
    }
}
