//! A good key that is one of 1,024 in use: what the first-level cache of the processor does not
//! hold.

use axum::body::Body;
use http::StatusCode;
use portcullis::ApiKeyLayer;
use tower::Layer;

use super::router::warm;
use super::{Group, Kind};
use crate::harness::Case;
use crate::keys;
use crate::peers::{by_hand, layered};
use crate::world::{World, credentials, each, open, routed};

pub(super) const GROUP: Group = Group {
    name: "spread",
    about: "a whole call of an axum Router, with 1,024 keys in use of 10,000",
    kind: Kind::Interleaved { cases, measure },
};

const REMEMBERED: u64 = 10_000;

fn cases(world: &World) -> Vec<Case> {
    let ok = StatusCode::OK;
    let used = || credentials(1_024);
    let all = || (0..REMEMBERED).map(keys::nth);
    let keyring = world.usual();
    world.warm(&keyring, &credentials(REMEMBERED));
    let outside = ApiKeyLayer::new(keyring.clone()).layer(open().into_service::<Body>());
    let (lean, typical) = (by_hand::lean(all()), by_hand::typical(all()));
    warm(world, &lean, REMEMBERED);
    warm(world, &typical, REMEMBERED);
    vec![
        routed("open route", open(), used(), ok),
        routed("portcullis, Router::layer", layered(&keyring), used(), ok),
        each("portcullis, around the Router", outside, used(), ok),
        routed("from_fn by hand, lean", lean, used(), ok),
        routed("from_fn by hand, typical", typical, used(), ok),
    ]
}

fn measure(world: &mut World, cases: Vec<Case>) {
    world.interleave(GROUP.name, cases);
}
