//! What the simulation ought to show, by formula. A request, a change and a poll come at random and
//! know nothing of each other; the database is taken to have cores to spare.

use super::costs;
use super::scenario::Scenario;
use super::settings;

/// How one replica keeps in step, per second and on average.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    /// Syncs of the task that keeps in step.
    syncs: f64,
    /// The part of the time in which somebody else's change is committed and not yet known here.
    behind: f64,
}

/// Syncs a second of the whole fleet.
pub(crate) fn syncs(scenario: &Scenario) -> f64 {
    let rhythm = rhythm(scenario);
    // A write that finds others before it syncs before it is answered.
    let by_writers = commits(scenario) * rhythm.behind;
    f64::from(scenario.replicas) * rhythm.syncs + by_writers
}

/// Change rows a second of the whole fleet: each comes to each replica once.
pub(crate) fn change_rows(scenario: &Scenario) -> f64 {
    f64::from(scenario.replicas) * commits(scenario)
}

/// A replica waits for a nudge or its poll, gathers nudges for a moment if it was a nudge, syncs,
/// and goes on at once if a nudge came in meanwhile.
fn rhythm(scenario: &Scenario) -> Rhythm {
    let sync = sync_takes();
    let poll = scenario.poll;
    let nudges = commits(scenario);
    if !scenario.nudged || nudges == 0.0 {
        let cycle = poll + sync;
        return Rhythm {
            syncs: 1.0 / cycle,
            behind: behind_after_sync(scenario, cycle) / cycle,
        };
    }
    let gathered = settings::NUDGE_GAP + sync;
    let none_in = |time: f64| (-nudges * time).exp();
    let none_until_poll = none_in(poll);
    // The part of syncs that no nudge began: each follows on one that was begun by a nudge, or not.
    let (after_nudged, after_polled) = (none_in(gathered), none_in(sync));
    let polled = after_nudged * none_until_poll
        / (1.0 - after_polled * none_until_poll + after_nudged * none_until_poll);
    let nudged = 1.0 - polled;
    let idle = nudged * after_nudged + polled * after_polled;
    let waiting = idle * (1.0 - none_until_poll) / nudges;
    let cycle = waiting + sync + nudged * settings::NUDGE_GAP;

    let at_once = 1.0 - idle;
    let out_of_rest = nudged - at_once;
    let by_others = out_of_rest * (1.0 - 1.0 / f64::from(scenario.replicas));
    let in_step_at_first = behind_after_sync(scenario, gathered);
    let behind =
        by_others * behind_from_start(scenario, gathered) + (nudged - by_others) * in_step_at_first;
    Rhythm {
        syncs: 1.0 / cycle,
        behind: behind / cycle,
    }
}

/// For how long, of the time after a sync, a replica is behind: from the next change of others on,
/// and until the next one of its own, which syncs. The sync looked half its time ago.
fn behind_after_sync(scenario: &Scenario, time: f64) -> f64 {
    let (changes, others) = (commits(scenario), others(scenario));
    if others == 0.0 {
        return 0.0;
    }
    let looked = (-changes * sync_takes() / 2.0).exp();
    let in_step = looked * (1.0 - (-changes * time).exp()) / changes;
    others / changes * (time - in_step)
}

/// The same if it is behind from the beginning.
fn behind_from_start(scenario: &Scenario, time: f64) -> f64 {
    let (changes, others) = (commits(scenario), others(scenario));
    let own = (1.0 - others / changes) * (1.0 - (-changes * time).exp()) / changes;
    others / changes * time + own
}

/// Commits a second: as many as are asked for, or as the lock lets through.
pub(crate) fn commits(scenario: &Scenario) -> f64 {
    (scenario.changes + scenario.creations).min(1e6 / costs::LOCK_HELD)
}

/// Commits of other replicas.
fn others(scenario: &Scenario) -> f64 {
    commits(scenario) * (1.0 - 1.0 / f64::from(scenario.replicas))
}

/// There, executed, and back.
fn sync_takes() -> f64 {
    (costs::ROUND_TRIP + costs::SYNC) / 1e6
}

/// From a commit until a replica in the middle of the crowd has heeded it.
pub(crate) fn heeded_after(scenario: &Scenario) -> f64 {
    if !scenario.nudged {
        return scenario.poll / 2.0 + sync_takes();
    }
    settings::NUDGE_GAP + costs::ROUND_TRIP / 2e6 + sync_takes() + crowd(scenario) / 2.0
}

/// The longest that it takes while the database has cores to spare: the change comes just after a
/// sync has looked.
pub(crate) fn heeded_at_last(scenario: &Scenario) -> f64 {
    if !scenario.nudged {
        return scenario.poll + 2.0 * sync_takes();
    }
    settings::NUDGE_GAP + 2.0 * (costs::ROUND_TRIP / 2e6 + sync_takes() + crowd(scenario))
}

/// All replicas are woken by the same change, and sync at the same time.
fn crowd(scenario: &Scenario) -> f64 {
    let one = costs::WAKE.max(costs::SYNC + costs::CHANGE_ROW);
    f64::from(scenario.replicas) * one / f64::from(scenario.cores) / 1e6
}

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
pub(crate) fn warmth(scenario: &Scenario, requests: f64) -> f64 {
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

/// Cores of the database that syncs and nudges keep busy.
pub(crate) fn cores(scenario: &Scenario) -> f64 {
    let nudges = if scenario.nudged {
        change_rows(scenario)
    } else {
        0.0
    };
    let syncs = syncs(scenario) * costs::SYNC + change_rows(scenario) * costs::CHANGE_ROW;
    (syncs + nudges * costs::WAKE) / 1e6
}
