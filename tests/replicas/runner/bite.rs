//! Whether a fault did what it was to do: one that nobody notices proves nothing.

use std::time::Duration;

use crate::runner::episode::Report;
use crate::runner::fault::{Fault, Whom};
use crate::runner::history::{Answer, By, Outcome};
use crate::runner::proxy::Mode;

/// What is missing, if anything is.
pub(crate) fn toothless(fault: Fault, report: &Report) -> Option<&'static str> {
    let unless = |bites: bool, complaint| (!bites).then_some(complaint);
    match fault {
        Fault::Network(Mode::Delay(delay), _) => unless(
            report
                .history
                .changes
                .iter()
                .any(|change| change.by != By::Hand && change.took() > 4 * delay),
            "nothing was delayed",
        ),
        Fault::Network(Mode::LoseCommits { .. }, _) => unless(
            report.commits_lost > 0 && report.doubts(By::Replica(0)) > 0,
            "no reply to a COMMIT was lost",
        ),
        Fault::Network(_, whom) => unless(
            report.answers(0, &Answer::Unavailable) > 0
                && (whom == Whom::One || report.answers(1, &Answer::Unavailable) > 0),
            "nobody was cut off",
        ),
        Fault::Stopped => unless(
            report.history.requests.iter().any(|request| {
                request.took() > Duration::from_secs(1) && request.answer == Answer::Refused
            }),
            "no request for a revoked key waited in a socket",
        ),
        Fault::ReplicaKilled => unless(report.answers(0, &Answer::Lost) > 0, "nobody was missed"),
        Fault::PostgresKilled => unless(
            report.answers(0, &Answer::Unavailable) > 0 && report.doubts(By::Hand) > 0,
            "nobody missed Postgres",
        ),
        // What these do is seen to where it is done.
        Fault::Terminated | Fault::NoNotify | Fault::SlowTransaction | Fault::Restored => None,
    }
}

impl Report {
    fn answers(&self, replica: usize, answer: &Answer) -> usize {
        let requests = self.history.requests.iter();
        requests
            .filter(|request| request.replica == replica && request.answer == *answer)
            .count()
    }

    fn doubts(&self, by: By) -> usize {
        let changes = self.history.changes.iter();
        changes
            .filter(|change| change.by == by && change.outcome == Outcome::InDoubt)
            .count()
    }
}
