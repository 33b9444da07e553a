//! A whole call of an axum `Router`: 16 keys of 10,000 that are remembered, so that everything
//! lies near.

use axum::Router;
use axum::body::Body;
use http::StatusCode;
use portcullis::ApiKeyLayer;
use tower::Layer;

use super::{Group, Kind, OTHER_LANGUAGES, WHOLE_CALL};
use crate::harness::Case;
use crate::peers::{by_hand, constant, jwt, layered};
use crate::world::{World, credentials, each, header, open, routed};
use crate::{keys, world};

pub(super) const GROUP: Group = Group {
    name: "router",
    about: "a whole call of an axum Router with a good key, beside what people use instead",
    kind: Kind::Interleaved { cases, measure },
};

pub(super) const OPEN: &str = "open route";
pub(super) const OURS: &str = "portcullis, Router::layer";

const HOT: u64 = 16;
const REMEMBERED: u64 = 10_000;

fn cases(world: &World) -> Vec<Case> {
    let ok = StatusCode::OK;
    let hot = || credentials(HOT);
    let all = || (0..REMEMBERED).map(keys::nth);
    let keyring = world.usual();
    world.warm(&keyring, &credentials(REMEMBERED));
    let layer = ApiKeyLayer::new(keyring.clone());
    let outside = layer.clone().layer(world::served(open()));
    let (hs256, hs256_token) = jwt::hs256();
    let (eddsa, eddsa_token) = jwt::eddsa();
    let one = header(&keys::nth(0));
    let typical = by_hand::typical(all());
    let lean = by_hand::lean(all());
    warm(world, &typical, REMEMBERED);
    warm(world, &lean, REMEMBERED);
    vec![
        routed(OPEN, open(), hot(), ok),
        routed(
            "tower-http, one constant token",
            open().layer(constant(&keys::nth(0))),
            vec![one],
            ok,
        ),
        routed(OURS, layered(&keyring), hot(), ok),
        routed(
            "portcullis, Router::route_layer",
            open().route_layer(layer),
            hot(),
            ok,
        ),
        each("portcullis, around the Router", outside, hot(), ok),
        routed("from_fn by hand, lean", lean, hot(), ok),
        routed("from_fn by hand, typical", typical, hot(), ok),
        routed("jsonwebtoken HS256", hs256, vec![header(&hs256_token)], ok),
        routed("jsonwebtoken EdDSA", eddsa, vec![header(&eddsa_token)], ok),
    ]
}

/// Sends each of the first `keys` keys once.
pub(super) fn warm(world: &World, router: &Router, keys: u64) {
    let mut service = router.clone().into_service::<Body>();
    world.block_on(async {
        for credential in credentials(keys) {
            crate::call::wait(&mut service, Some(&credential)).await;
        }
    });
}

fn measure(world: &mut World, cases: Vec<Case>) {
    let rounds = world.interleave(GROUP.name, cases);
    for peer in [
        "from_fn by hand, typical",
        "from_fn by hand, lean",
        "jsonwebtoken HS256",
    ] {
        let ratio = rounds.each([OURS, peer], |[ours, theirs]| ours / theirs);
        let figure = format!("x {peer}");
        world.recorder.rounds(GROUP.name, OURS, &figure, ratio);
    }
    let rate = rounds.each([OURS], |[nanos]| 1e9 / nanos);
    let recorder = &mut world.recorder;
    recorder.rounds(OTHER_LANGUAGES, WHOLE_CALL, "good keys a second", rate);
}
