//! What is remembered, and what has to be looked up.

use super::following::heeded_after;
use crate::simulation::costs;
use crate::simulation::scenario::Scenario;

/// How long an answer lives on average: until it is too old or its tag moves.
fn life(scenario: &Scenario) -> f64 {
    let moves = scenario.tag_moves();
    if moves == 0.0 {
        scenario.time_to_live
    } else {
        (1.0 - (-moves * scenario.time_to_live).exp()) / moves
    }
}

/// The chance that a key that is asked for so often a second is warm.
fn warmth(scenario: &Scenario, requests: f64) -> f64 {
    let alive = requests * life(scenario);
    alive / (1.0 + alive)
}

/// The chance that an answer about it is kept, up to date or not: it was looked up within the time
/// that answers are kept, and not again since.
pub(crate) fn kept(scenario: &Scenario, requests: f64) -> f64 {
    let (moves, most) = (scenario.tag_moves(), scenario.time_to_live);
    let each = 1.0 / (life(scenario) + 1.0 / requests);
    if moves == 0.0 {
        return each * most;
    }
    let requests = apart(requests, moves);
    let until = |rate: f64| (1.0 - (-rate * most).exp()) / rate;
    each * (requests * until(moves) - moves * until(requests)) / (requests - moves)
}

/// A rate that differs from another one by enough to divide by the difference.
fn apart(rate: f64, other: f64) -> f64 {
    if (rate - other).abs() < 1e-6 * rate {
        rate * (1.0 + 1e-6)
    } else {
        rate
    }
}

/// Look-ups a second of one key at one replica.
#[derive(Clone, Copy, Debug)]
struct LookUps {
    /// It was not remembered, or too long.
    cold: f64,
    /// It would still have been remembered but for a change.
    owed_to_changes: f64,
    /// Of both, those that the standby answers in vain.
    asked_twice: f64,
}

impl LookUps {
    fn all(self) -> f64 {
        self.cold + self.owed_to_changes
    }
}

/// Warm keys at one replica.
pub(crate) fn warm_keys(scenario: &Scenario) -> f64 {
    of_all_keys(scenario, |requests| warmth(scenario, requests))
}

/// Look-ups a second of the whole fleet for keys that are not remembered.
pub(crate) fn cold(scenario: &Scenario) -> f64 {
    let each = of_all_keys(scenario, |requests| look_ups(scenario, requests).cold);
    f64::from(scenario.replicas) * each
}

/// Look-ups at one replica for each change.
pub(crate) fn owed_to_a_change(scenario: &Scenario) -> f64 {
    let owed = |requests| look_ups(scenario, requests).owed_to_changes;
    of_all_keys(scenario, owed) / scenario.changes
}

pub(crate) fn hit_rate(scenario: &Scenario) -> f64 {
    let misses = of_all_keys(scenario, |requests| look_ups(scenario, requests).all());
    1.0 - misses / scenario.requests
}

/// The part of all look-ups that the standby answers in vain.
pub(crate) fn asked_twice(scenario: &Scenario) -> f64 {
    let twice = of_all_keys(scenario, |requests| {
        look_ups(scenario, requests).asked_twice
    });
    twice / of_all_keys(scenario, |requests| look_ups(scenario, requests).all())
}

/// The sum over all keys, given how often a second each is asked for at one replica.
fn of_all_keys(scenario: &Scenario, of_one: impl Fn(f64) -> f64) -> f64 {
    let popularity = scenario.popularity();
    let octaves = popularity
        .octaves()
        .map(|(octave, share)| f64::from(octave.keys) * of_one(scenario.requests * share));
    octaves.sum()
}

/// A key is looked up, lives, ends, and is looked up by the next request.
fn look_ups(scenario: &Scenario, requests: f64) -> LookUps {
    let (moves, most) = (scenario.tag_moves(), scenario.time_to_live);
    let each = 1.0 / (life(scenario) + 1.0 / requests);
    // The chance that a tag moves and a request comes, both before the answer would be too old.
    let apart = apart(requests, moves);
    let neither = apart * (-moves * most).exp() - moves * (-apart * most).exp();
    let owed = 1.0 - neither / (apart - moves);
    LookUps {
        cold: each * (1.0 - owed),
        owed_to_changes: each * owed,
        asked_twice: each * in_vain(scenario, requests, owed),
    }
}

/// The chance that a change that is known here has not reached the standby yet. It is known to its
/// writer at once, and to the others when they have heeded it.
fn in_vain(scenario: &Scenario, requests: f64, owed: f64) -> f64 {
    let Some(lag) = scenario.standby_lag else {
        return 0.0;
    };
    let creations = scenario.creations / f64::from(scenario.shards);
    let moves = scenario.tag_moves() + creations;
    let known_after = |known: f64| {
        let window = (lag - known - costs::ROUND_TRIP / 2e6).max(0.0);
        // A look-up owed to a change comes after it by the time to the next request; any other
        // comes at any time.
        let quiet = (-moves * window).exp();
        1.0 - quiet * (1.0 - owed * (1.0 - (-requests * window).exp()))
    };
    let own = 1.0 / f64::from(scenario.replicas);
    own * known_after(costs::ROUND_TRIP / 2e6) + (1.0 - own) * known_after(heeded_after(scenario))
}

/// Look-ups in the second that begins so long after all memory was lost, of the whole fleet.
pub(crate) fn wave(scenario: &Scenario, after: f64) -> f64 {
    let first = of_all_keys(scenario, |requests| {
        let still_cold = |time: f64| (-requests * time).exp();
        still_cold(after) - still_cold(after + 1.0)
    });
    f64::from(scenario.replicas) * first
}

/// Uses written down a second at most: each replica does so for itself, but for what it reads of
/// the others when it looks a key up.
pub(crate) fn most_uses(scenario: &Scenario) -> f64 {
    let each = of_all_keys(scenario, |requests| {
        1.0 / (scenario.last_used_every + 1.0 / requests)
    });
    f64::from(scenario.replicas) * each
}
