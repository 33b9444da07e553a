//! Whether a store's history is the one that was followed so far.

use super::timeline::Followed;
use crate::store::SyncReport;

/// How a sync's answer relates to the history that was followed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuity {
    First,
    Unbroken,
    Broken(Break),
}

/// Why the history that was followed is not this store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Break {
    #[error("this is another store than before")]
    AnotherStore,
    #[error("the store went back to an older state")]
    WentBack,
    #[error("the store went back to an older state and has moved on from there")]
    AnotherHistory,
    #[error("the change rows since the last sync have been pruned")]
    Gap,
    #[error("the store has lost a change that was made here")]
    LostOurs,
    #[error("a write went to another history than the one that was followed")]
    ByOurs,
    #[error("a key is alive that was seen revoked")]
    Revived,
}

/// `followed` is how far the history was followed when the sync was sent. The newest revision seen
/// may lie above the last one applied, by a write of ours or by a look-up: a store below it has
/// lost something.
pub(super) fn continuity(followed: Followed, report: &SyncReport) -> Continuity {
    let Followed {
        applied, highest, ..
    } = followed;
    let Some(since) = applied else {
        return Continuity::First;
    };
    if report.position.store != since.store {
        Continuity::Broken(Break::AnotherStore)
    } else if report.position.revision < since.revision.max(highest) {
        Continuity::Broken(Break::WentBack)
    } else {
        match report.nonce_then {
            // Without the row of that revision the rows after it may be incomplete too.
            None => Continuity::Broken(Break::Gap),
            Some(nonce) if nonce != since.nonce => Continuity::Broken(Break::AnotherHistory),
            Some(_) => Continuity::Unbroken,
        }
    }
}

/// Tells whoever watches the log that the store's history broke. Its fields are there to be
/// alerted on.
pub(super) fn alarm(why: Break, revision: u64, epoch: u64) {
    tracing::error!(
        target: "portcullis::history",
        alarm = "history_broken",
        why = &why as &dyn std::error::Error,
        revision,
        epoch,
        "the store's history broke: everything remembered is dropped, and what was seen revoked \
         stays refused until Keyring::trust_restored_store is called"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Position, StoreId};

    fn position(store: u8, revision: u64, nonce: i64) -> Position {
        Position {
            store: StoreId([store; 16]),
            revision,
            nonce,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_history_is_followed_only_where_it_is_unbroken() {
        struct Test {
            name: &'static str,
            since: Option<Position>,
            /// Zero where no write of ours went beyond `since`.
            written: u64,
            position: Position,
            nonce_then: Option<i64>,
            result: Continuity,
        }
        let tests = [
            Test {
                name: "the first sync follows nothing",
                since: None,
                written: 0,
                position: position(1, 5, 50),
                nonce_then: Some(50),
                result: Continuity::First,
            },
            Test {
                name: "nothing happened",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 5, 50),
                nonce_then: Some(50),
                result: Continuity::Unbroken,
            },
            Test {
                name: "it went on",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 9, 90),
                nonce_then: Some(50),
                result: Continuity::Unbroken,
            },
            Test {
                name: "another store, though the numbers fit",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(2, 9, 90),
                nonce_then: Some(50),
                result: Continuity::Broken(Break::AnotherStore),
            },
            Test {
                name: "restored to an older state",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 4, 40),
                nonce_then: None,
                result: Continuity::Broken(Break::WentBack),
            },
            Test {
                name: "restored to just before a write of ours",
                since: Some(position(1, 5, 50)),
                written: 7,
                position: position(1, 5, 50),
                nonce_then: Some(50),
                result: Continuity::Broken(Break::WentBack),
            },
            Test {
                name: "it went on by a write of ours",
                since: Some(position(1, 5, 50)),
                written: 7,
                position: position(1, 7, 70),
                nonce_then: Some(50),
                result: Continuity::Unbroken,
            },
            Test {
                name: "restored, and back at the same number by another way",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 5, 51),
                nonce_then: Some(51),
                result: Continuity::Broken(Break::AnotherHistory),
            },
            Test {
                name: "restored, and beyond by another way",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 9, 91),
                nonce_then: Some(51),
                result: Continuity::Broken(Break::AnotherHistory),
            },
            Test {
                name: "away for so long that the rows are pruned",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 90_000, 9),
                nonce_then: None,
                result: Continuity::Broken(Break::Gap),
            },
        ];
        for test in tests {
            let report = SyncReport {
                position: test.position,
                nonce_then: test.nonce_then,
                changes: Vec::new(),
            };
            let followed = Followed {
                applied: test.since,
                highest: test
                    .written
                    .max(test.since.map_or(0, |since| since.revision)),
                ..Followed::default()
            };
            assert_eq!(continuity(followed, &report), test.result, "{}", test.name);
        }
    }
}
