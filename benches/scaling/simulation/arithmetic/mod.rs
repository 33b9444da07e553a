//! What the simulation ought to show, by formula. A request, a change and a poll come at random and
//! know nothing of each other; the database is taken to have cores to spare.

pub(crate) mod following;
mod looking_up;

pub(crate) use following::{change_rows, commits, cores, heeded_at_last, syncs};
pub(crate) use looking_up::{
    asked_twice, cold, hit_rate, kept, most_uses, owed_to_a_change, warm_keys, wave,
};
