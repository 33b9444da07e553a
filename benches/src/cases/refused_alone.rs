//! Saying no in the layer alone: what a Router adds to all of them is left out.

use axum::extract::Request;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Response, StatusCode};
use portcullis::ApiKeyLayer;
use portcullis::allowed_ips::AllowedIps;
use tower::{Layer as _, Service};

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::call;
use crate::harness::Case;
use crate::keys;
use crate::world::{Nothing, World, bare, credentials, each, header, without};

pub(super) const GROUP: Group = Group {
    name: "refused-alone",
    about: "the layer alone, around a service that does nothing, with nothing that opens it",
    kind: Kind::Interleaved { cases, measure },
};

const NOTHING: &str = "no layer";
const NOTHING_SENT: &str = "no layer, no credential";
const ABSENT: &str = "portcullis, no credential";
const NOTHING_SENT_TWICE: &str = "no layer, two lines of Authorization";
const TWICE: &str = "portcullis, two lines of Authorization";
const REFUSED: [&str; 7] = [
    "portcullis, unreadable",
    "portcullis, longer than 256 bytes",
    "portcullis, not a key",
    "portcullis, wrong checksum",
    "portcullis, of another environment",
    "portcullis, unknown key, remembered",
    "portcullis, good key from another address",
];

fn cases(world: &World) -> Vec<Case> {
    let (ok, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    let nobody = world.keyring(ByRule::no_key(), |builder| {
        // What is remembered of unknown keys lasts five seconds: they are asked for again.
        builder.unknown_lookups(1_000_000, 1_000_000)
    });
    world.warm(&nobody, &credentials(16));
    let two = world.keyring(ByRule::every_key(), |builder| {
        builder.environments(["live", "test"])
    });
    let test_alone = ApiKeyLayer::new(two).environments(["test"]).unwrap();
    // No request here says from where it comes, so that none comes from there.
    let elsewhere = ByRule::every_key().bound_to(AllowedIps::parse(["192.0.2.0/24"]).unwrap());
    let elsewhere = world.keyring(elsewhere, |builder| builder);
    world.warm(&elsewhere, &credentials(16));
    let [
        unreadable,
        long,
        not_a_key,
        mistyped,
        environment,
        unknown,
        address,
    ] = REFUSED;
    let gate = || bare(&nobody);
    vec![
        each(NOTHING, Nothing, credentials(16), ok),
        without(NOTHING_SENT, Nothing, ok),
        without(ABSENT, gate(), no),
        twice(NOTHING_SENT_TWICE, Nothing, ok),
        twice(TWICE, gate(), StatusCode::BAD_REQUEST),
        each(
            unreadable,
            gate(),
            vec![HeaderValue::from_static("Bearer of, bad news")],
            StatusCode::BAD_REQUEST,
        ),
        each(long, gate(), vec![header(&"a".repeat(300))], no),
        each(
            not_a_key,
            gate(),
            vec![header("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")],
            no,
        ),
        each(
            mistyped,
            gate(),
            (0..16).map(|n| header(&keys::mistyped(n))).collect(),
            no,
        ),
        each(environment, test_alone.layer(Nothing), credentials(16), no),
        each(unknown, gate(), credentials(16), no),
        each(address, bare(&elsewhere), credentials(16), no),
    ]
}

/// Calls a service with two lines of `Authorization`, each of which alone would be a key.
fn twice<S, R>(name: &str, mut service: S, status: StatusCode) -> Case
where
    S: Service<Request, Response = Response<R>> + 'static,
    S::Error: std::fmt::Debug,
{
    let line = header(&keys::nth(0));
    Case::new(name, move || {
        let mut request = call::request(Some(&line));
        request.headers_mut().append(AUTHORIZATION, line.clone());
        call::send(&mut service, request, status);
    })
}

fn measure(world: &mut World, cases: Vec<Case>) {
    let rounds = world.interleave(GROUP.name, cases);
    let pairs = REFUSED.map(|refused| (refused, NOTHING));
    let others = [(ABSENT, NOTHING_SENT), (TWICE, NOTHING_SENT_TWICE)];
    for (refused, without) in pairs.into_iter().chain(others) {
        let added = rounds.each([refused, without], |[with, without]| with - without);
        let recorder = &mut world.recorder;
        recorder.rounds(GROUP.name, refused, "added ns", added);
    }
}
