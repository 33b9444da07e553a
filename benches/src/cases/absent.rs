//! Requests without a credential: refused before anything is hashed or looked up.

use http::StatusCode;

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::harness::Case;
use crate::keys;
use crate::peers::{by_hand, constant, layered};
use crate::world::{World, open, served, without};

pub(super) const GROUP: Group = Group {
    name: "absent",
    about: "a whole call of an axum Router without a credential",
    kind: Kind::Interleaved { cases, measure },
};

fn cases(world: &World) -> Vec<Case> {
    let no = StatusCode::UNAUTHORIZED;
    let keyring = world.keyring(ByRule::every_key(), |builder| builder);
    let constant = open().layer(constant(&keys::nth(0)));
    let lean = by_hand::lean((0..1).map(keys::nth));
    let typical = by_hand::typical((0..1).map(keys::nth));
    vec![
        without("open route", served(open()), StatusCode::OK),
        without("tower-http, one constant token", served(constant), no),
        without("portcullis, Router::layer", served(layered(&keyring)), no),
        without("from_fn by hand, lean", served(lean), no),
        without("from_fn by hand, typical", served(typical), no),
    ]
}

fn measure(world: &mut World, cases: Vec<Case>) {
    world.interleave(GROUP.name, cases);
}
