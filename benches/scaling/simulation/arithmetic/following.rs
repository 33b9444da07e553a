//! Keeping in step.

use crate::simulation::scenario::Scenario;
use crate::simulation::{costs, settings};

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
    let by_poll = after_nudged * none_until_poll
        / (1.0 - after_polled * none_until_poll + after_nudged * none_until_poll);
    let by_nudge = 1.0 - by_poll;
    let idle = by_nudge * after_nudged + by_poll * after_polled;
    let waiting = idle * (1.0 - none_until_poll) / nudges;
    let cycle = waiting + sync + by_nudge * settings::NUDGE_GAP;

    let at_once = 1.0 - idle;
    let out_of_rest = by_nudge - at_once;
    let by_others = out_of_rest * (1.0 - 1.0 / f64::from(scenario.replicas));
    let in_step_at_first = behind_after_sync(scenario, gathered);
    let behind = by_others * behind_from_start(scenario, gathered)
        + (by_nudge - by_others) * in_step_at_first;
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
