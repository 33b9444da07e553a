//! The suite by which a store proves that it keeps the contract of [`KeyStore`].
//!
//! Each case is a function of its own that gets a [`Stage`] with a fresh store and panics if the
//! store does otherwise than it should. [`conformance_tests!`](crate::conformance_tests) makes
//! all of them into tests, each under its own name, so that none is forgotten:
//!
//! ```
//! use std::sync::Arc;
//!
//! use portcullis::clock::Clock;
//! use portcullis::store::MemoryStore;
//! use portcullis::store::conformance::Backend;
//!
//! #[derive(Debug)]
//! struct Memory(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl Backend for Memory {
//!     type Store = MemoryStore;
//!
//!     const TAKES_A_CLOCK: bool = true;
//!
//!     async fn create(clock: Arc<dyn Clock>) -> Self {
//!         Self(MemoryStore::with_clock(clock))
//!     }
//!
//!     async fn open(&self) -> MemoryStore {
//!         self.0.clone()
//!     }
//!
//!     async fn outlive_the_changes(&self) -> bool {
//!         false // The real one makes a few thousand changes.
//!     }
//! }
//!
//! portcullis::conformance_tests!(memory, Memory);
//! ```
//!
//! Cases are added in minor releases: a store that passes today may have to be mended.
//!
//! [`KeyStore`]: crate::store::KeyStore

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a case tells by a panic that the store fails it"
)]

mod cancel;
mod list;
mod look_up;
mod nudge;
mod owner;
mod prune;
mod replay;
mod revoke_all;
mod rotate;
mod sample;
mod stage;
mod sync;
mod taken;
mod touch;
mod trail;
mod write;

pub use stage::{Backend, Stage};

/// The list of cases: exports each, and makes `conformance_tests!`. A case that is not in here is
/// unreachable, which is a warning.
macro_rules! suite {
    ($d:tt $($module:ident { $($case:ident),+ $(,)? })+) => {
        $(pub use $module::{$($case),+};)+

        /// Makes a module of this name in which each case of the suite is a test, once on the
        /// store itself (`direct`) and once through an `Arc<dyn KeyStore>` (`shared`).
        ///
        /// `$backend` is a [`Backend`](crate::store::conformance::Backend). The tests are
        /// tokio's, so that tokio with `macros` and `rt` has to be among the dependencies.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d name:ident, $d backend:ty) => {
                mod $d name {
                    #[allow(unused_imports)]
                    use super::*;

                    mod direct {
                        #[allow(unused_imports)]
                        use super::*;
                        $($(
                            #[::tokio::test]
                            async fn $case() {
                                use $d crate::store::conformance::{self, Stage};
                                let stage = Stage::direct::<$d backend>().await;
                                conformance::$case(&stage).await;
                            }
                        )+)+
                    }

                    mod shared {
                        #[allow(unused_imports)]
                        use super::*;
                        $($(
                            #[::tokio::test]
                            async fn $case() {
                                use $d crate::store::conformance::{self, Stage};
                                let stage = Stage::shared::<$d backend>().await;
                                conformance::$case(&stage).await;
                            }
                        )+)+
                    }
                }
            };
        }
    };
}

suite! { $
    look_up {
        an_absent_key_is_none,
        a_key_is_found_with_all_its_fields,
        a_look_up_is_as_new_as_the_last_write,
        a_look_up_is_one_snapshot,
        the_answers_carry_the_clock_of_the_store,
        the_cursor_key_is_one_for_all,
        the_digest_algorithm_is_that_of_the_first_key,
    }
    list {
        keys_are_listed_newest_first,
        keys_are_listed_by_owner,
        a_list_goes_on_after_any_key,
        a_list_has_at_most_its_limit,
        keys_are_listed_by_status,
        keys_are_listed_by_environment,
        keys_are_listed_by_their_end,
        filters_add_up_and_go_with_pages,
    }
    write {
        every_write_takes_a_higher_revision,
        a_write_is_seen_by_other_handles,
        keeping_writes_nothing,
        refusing_writes_nothing_and_hands_the_refusal_back,
        a_decision_sees_its_rows,
        a_decision_sees_no_rows_where_there_are_none,
        a_store_remembers_that_it_had_a_key,
        a_taken_id_is_a_conflict,
        a_taken_digest_is_a_conflict,
        a_change_needs_its_target,
        a_revoked_key_stays_revoked,
        writers_come_one_after_the_other,
    }
    rotate {
        a_replaced_secret_opens_nothing_more,
        a_secret_in_its_grace_goes_on_opening_the_key,
        another_rotation_ends_the_grace_of_the_last,
        a_rotation_keeps_the_last_uses,
        a_rotation_touches_all_secrets_it_is_about,
        a_rotation_changes_nothing_else,
        an_update_leaves_secrets_and_origin_alone,
        a_change_touches_both_secrets,
        a_grace_can_be_ended,
        a_rotation_to_a_taken_digest_is_a_conflict,
        a_rotation_needs_its_target,
        rotations_come_one_after_the_other,
    }
    revoke_all {
        all_keys_are_revoked,
        the_keys_of_an_owner_are_revoked,
        all_that_came_from_a_key_is_revoked,
        what_is_revoked_stays_as_it_was_revoked,
        very_many_keys_are_revoked_at_once,
    }
    owner {
        the_living_keys_of_an_owner_are_counted,
        an_owner_never_has_more_keys_than_were_counted,
    }
    taken {
        whoever_has_a_digest_is_shown,
        a_digest_is_given_once,
        the_digest_of_a_replaced_secret_stays_taken,
        the_digests_of_a_deleted_key_stay_taken,
        what_was_not_written_takes_no_digest,
        a_digest_is_not_free_while_its_secret_is_replaced,
    }
    trail {
        each_change_leaves_its_line,
        what_changes_nothing_leaves_no_line,
        an_emergency_stop_leaves_a_line_for_each_key_that_it_revokes,
        a_trail_is_read_in_pages,
        a_trail_comes_with_the_clock_of_the_store,
    }
    prune {
        keys_that_are_dead_for_long_are_deleted,
        a_maker_stays_as_long_as_what_it_made,
        a_trail_outlives_its_key_and_ends_by_itself,
        what_is_kept_for_ever_stays,
        a_request_is_forgotten_with_the_key_that_it_made,
        so_much_is_deleted_at_once_and_no_more,
    }
    replay {
        a_request_is_remembered_with_the_key_it_made,
        a_request_is_forgotten_at_its_end,
        a_remembered_request_is_no_other_one,
        a_request_that_failed_is_not_remembered,
    }
    touch {
        a_use_is_written_to_the_secret_and_its_key,
        a_use_makes_no_revision,
        a_use_never_moves_back,
        a_use_of_what_is_dead_is_skipped,
        uses_come_in_batches,
        a_change_keeps_the_last_use,
    }
    sync {
        a_first_sync_says_where_the_store_is,
        nothing_new_leaves_the_history_unbroken,
        an_added_key_falsifies_absence_alone,
        a_changed_key_falsifies_everything,
        a_history_can_be_followed_step_by_step,
        a_revision_that_never_was_has_no_nonce,
        a_sync_that_comes_too_late_is_told_so,
        a_sync_is_one_snapshot,
    }
    nudge {
        a_write_nudges_every_handle,
        a_write_between_two_waits_is_not_lost,
        a_wait_that_is_cut_short_loses_nothing,
    }
    cancel {
        a_read_that_is_cut_short_leaves_nothing_open,
        a_write_that_is_cut_short_happens_whole_or_not_at_all,
        a_decision_that_panics_writes_nothing,
    }
}
