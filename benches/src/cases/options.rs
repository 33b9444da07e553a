//! What each option costs, beside the gate as it is by default.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router};
use http::{HeaderName, HeaderValue, StatusCode};
use portcullis::allowed_ips::AllowedIps;
use portcullis::key::{DigestAlgorithm, Pepper};
use portcullis::layer::PeerAddress;
use portcullis::{ApiKeyLayer, Keyring, Principal, RequiredScope, Scoped, require_scope};

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::harness::Case;
use crate::keys;
use crate::peers::layered;
use crate::world::{World, credentials, header, open, routed};

pub(super) const GROUP: Group = Group {
    name: "options",
    about: "what each option costs, in a whole call of an axum Router",
    kind: Kind::Interleaved { cases, measure },
};

struct ReadReports;

impl RequiredScope for ReadReports {
    const SCOPE: &'static str = "reports:read";
}

async fn principal(caller: Principal) -> &'static str {
    std::hint::black_box(caller.owner());
    "hello"
}

async fn scoped(caller: Scoped<ReadReports>) -> &'static str {
    std::hint::black_box(caller.owner());
    "hello"
}

fn cases(world: &World) -> Vec<Case> {
    let ok = StatusCode::OK;
    let hot = || credentials(16);
    let usual = world.usual();
    world.warm(&usual, &hot());
    let gate = || ApiKeyLayer::new(usual.clone());
    let keyed = world.keyring(ByRule::every_key(), |builder| {
        builder.keyed_checksum([keys::checksum_secret()])
    });
    let keyed_keys: Vec<HeaderValue> = (0..16)
        .map(|_| header(&keys::keyed(keyed.format())))
        .collect();
    let pepper = DigestAlgorithm::hmac_sha256(Pepper::new([7; 32]).unwrap());
    let pepper = world.keyring(ByRule::every_key(), |builder| builder.digest(pepper));
    let blake3 = world.keyring(ByRule::every_key(), |builder| {
        builder.digest(DigestAlgorithm::blake3())
    });
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let bound = ByRule::every_key().bound_to(AllowedIps::parse(["127.0.0.0/8"]).unwrap());
    let bound = world.keyring(bound, |builder| builder);
    let foreign = world.keyring(ByRule::every_key(), |builder| {
        builder.accept_foreign(keys::foreign_format())
    });
    let foreign_keys: Vec<HeaderValue> = (0..16).map(|n| header(&keys::foreign(n))).collect();
    // Remembered, though nothing says there from where it is used.
    world.warm(&bound, &hot());
    world.warm(&foreign, &foreign_keys);
    world.warm(&keyed, &keyed_keys);
    world.warm(&pepper, &hot());
    world.warm(&blake3, &hot());
    let forged = (0..16).map(|n| header(&keys::forged(n))).collect();
    let demanding = Router::new()
        .route(
            "/",
            get(|| async { "hello" }).route_layer(require_scope("reports:read")),
        )
        .layer(gate());
    let taking = |handler| Router::new().route("/", handler).layer(gate());
    vec![
        routed("as it is by default", layered(&usual), hot(), ok),
        routed("keyed checksum", layered(&keyed), keyed_keys, ok),
        routed(
            "keyed checksum, a forged key refused",
            layered(&keyed),
            forged,
            StatusCode::UNAUTHORIZED,
        ),
        routed("digest with a pepper", layered(&pepper), hot(), ok),
        routed("digest by BLAKE3", layered(&blake3), hot(), ok),
        routed(
            "a key of a foreign format",
            layered(&foreign),
            foreign_keys,
            ok,
        ),
        routed(
            "address of the peer in the request",
            layered(&usual).layer(Extension(PeerAddress(loopback))),
            hot(),
            ok,
        ),
        routed(
            "the same, and the key bound to addresses",
            layered(&bound).layer(Extension(PeerAddress(loopback))),
            hot(),
            ok,
        ),
        routed("require_scope", demanding, hot(), ok),
        routed("handler takes Principal", taking(get(principal)), hot(), ok),
        routed("handler takes Scoped<T>", taking(get(scoped)), hot(), ok),
        routed("optional", open().layer(gate().optional()), hot(), ok),
        routed(
            "x-api-key as well",
            open().layer(gate().add_header(HeaderName::from_static("x-api-key"))),
            hot(),
            ok,
        ),
        routed(
            "credential kept",
            open().layer(gate().keep_credential()),
            hot(),
            ok,
        ),
        routed("gate twice", layered(&usual).layer(gate()), hot(), ok),
        around(&usual),
    ]
}

fn around(keyring: &Keyring) -> Case {
    use tower::Layer;
    let service = ApiKeyLayer::new(keyring.clone()).layer(open().into_service::<Body>());
    crate::world::each(
        "around the Router",
        service,
        credentials(16),
        StatusCode::OK,
    )
}

fn measure(world: &mut World, cases: Vec<Case>) {
    world.interleave(GROUP.name, cases);
}
