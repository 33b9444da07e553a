//! Requests with a credential that opens nothing, from the cheapest to refuse to the dearest.

use http::{HeaderValue, StatusCode};
use portcullis::require_scope;

use super::{Group, Kind, OTHER_LANGUAGES, WHOLE_CALL};
use crate::by_rule::ByRule;
use crate::harness::Case;
use crate::keys;
use crate::peers::{by_hand, constant, jwt, layered};
use crate::world::{World, credentials, header, open, routed};

pub(super) const GROUP: Group = Group {
    name: "refused",
    about: "a whole call of an axum Router with a credential that opens nothing",
    kind: Kind::Interleaved { cases, measure },
};

const UNKNOWN: &str = "portcullis, unknown key, remembered";

fn cases(world: &World) -> Vec<Case> {
    let no = StatusCode::UNAUTHORIZED;
    let nobody = world.keyring(ByRule::no_key(), |builder| {
        // What is remembered of unknown keys lasts five seconds: they are asked for again.
        builder.unknown_lookups(1_000_000, 1_000_000)
    });
    let somebody = world.usual();
    world.warm(&nobody, &credentials(16));
    world.warm(&somebody, &credentials(16));
    let demanding = open()
        .route_layer(require_scope("reports:delete"))
        .layer(portcullis::ApiKeyLayer::new(somebody));
    let lean = || by_hand::lean((16..32).map(keys::nth));
    let typical = by_hand::typical((16..32).map(keys::nth));
    let (hs256, token) = jwt::hs256();
    // Signed by somebody else.
    let forged = flip_signature(&token);
    let unreadable = vec![HeaderValue::from_static("Bearer of, bad news")];
    vec![
        routed("open route", open(), credentials(16), StatusCode::OK),
        routed(
            "tower-http, another token",
            open().layer(constant(&keys::nth(99))),
            credentials(16),
            no,
        ),
        routed(
            "portcullis, unreadable",
            layered(&nobody),
            unreadable,
            StatusCode::BAD_REQUEST,
        ),
        routed(
            "portcullis, not a key",
            layered(&nobody),
            vec![header(&token)],
            no,
        ),
        routed(
            "portcullis, wrong checksum",
            layered(&nobody),
            (0..16).map(|n| header(&keys::mistyped(n))).collect(),
            no,
        ),
        routed(UNKNOWN, layered(&nobody), credentials(16), no),
        routed(
            "portcullis, missing scope",
            demanding,
            credentials(16),
            StatusCode::FORBIDDEN,
        ),
        routed(
            "from_fn by hand, lean, unknown key",
            lean(),
            credentials(16),
            no,
        ),
        routed(
            "from_fn by hand, typical, unknown key",
            typical,
            credentials(16),
            no,
        ),
        routed(
            "jsonwebtoken HS256, forged",
            hs256,
            vec![header(&forged)],
            no,
        ),
    ]
}

fn flip_signature(token: &str) -> String {
    let (before, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{before}.{other}{}", &signature[1..])
}

fn measure(world: &mut World, cases: Vec<Case>) {
    let rounds = world.interleave(GROUP.name, cases);
    let rate = rounds.each([UNKNOWN], |[nanos]| 1e9 / nanos);
    let recorder = &mut world.recorder;
    recorder.rounds(OTHER_LANGUAGES, WHOLE_CALL, "unknown keys a second", rate);
}
