//! Groups of cases. Each file is one question.

mod absent;
mod bare;
mod dead;
mod flood;
pub mod map;
mod miss;
mod options;
mod pieces;
mod refused;
mod refused_alone;
mod revokes;
mod router;
mod spread;
mod stampede;
mod threads;
mod zipf;

use crate::harness::Case;
use crate::world::World;

/// Where figures go that stand beside those of `other-languages`.
const OTHER_LANGUAGES: &str = "other languages";
/// What they are called there.
const WHOLE_CALL: &str = "portcullis, whole call of a Router, key remembered";

/// Cases that are measured together.
pub struct Group {
    /// What it is called on the command line and in the results.
    pub name: &'static str,
    /// The question.
    pub about: &'static str,
    /// How it is measured.
    pub kind: Kind,
}

/// How a group is measured.
pub enum Kind {
    /// In interleaved rounds, against the first of the cases.
    Interleaved {
        /// Makes the cases.
        cases: fn(&World) -> Vec<Case>,
        /// Measures them, and what follows from several of them.
        measure: fn(&mut World, Vec<Case>),
    },
    /// In a way of its own.
    Own(fn(&mut World)),
}

/// All of them, in the order of a whole run; `map` is for builds of its own.
pub fn groups() -> Vec<Group> {
    vec![
        router::GROUP,
        spread::GROUP,
        absent::GROUP,
        refused::GROUP,
        refused_alone::GROUP,
        dead::GROUP,
        options::GROUP,
        bare::GROUP,
        pieces::GROUP,
        zipf::GROUP,
        threads::GROUP,
        miss::GROUP,
        stampede::GROUP,
        flood::GROUP,
        revokes::GROUP,
        map::GROUP,
    ]
}
