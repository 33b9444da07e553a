//! Histories that are innocent, and histories that are guilty: a judge that sees nothing is worse
//! than none.

use super::*;
use crate::runner::history::{Form, Pulse, Route};

const KEY: KeyNumber = KeyNumber(0);
const OLD: SecretNumber = SecretNumber(0);
const NEW: SecretNumber = SecretNumber(1);

fn ms(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// One key, made by replica 0 from 0 to 10 ms; `max_staleness` is 1 s.
struct Case(History);

impl Case {
    fn new() -> Self {
        let history = History {
            max_staleness: Duration::from_secs(1),
            ..History::default()
        };
        Self(history).change(By::Replica(0), What::Create(Some(OLD)), 0, 10)
    }

    fn attempt(mut self, by: By, what: What, begun: u64, ended: u64, outcome: Outcome) -> Self {
        self.0.changes.push(Change {
            key: KEY,
            by,
            what,
            begun: ms(begun),
            ended: ms(ended),
            outcome,
        });
        self
    }

    fn change(self, by: By, what: What, begun: u64, ended: u64) -> Self {
        self.attempt(by, what, begun, ended, Outcome::Acknowledged)
    }

    fn asks(
        mut self,
        replica: usize,
        secret: SecretNumber,
        route: Route,
        (sent, answered): (u64, u64),
        answer: Answer,
    ) -> Self {
        self.0.requests.push(Request {
            replica,
            key: KEY,
            secret,
            route,
            sent: ms(sent),
            answered: ms(answered),
            answer,
        });
        self
    }

    fn pings(self, replica: usize, window: (u64, u64), answer: Answer) -> Self {
        self.asks(replica, OLD, Route::Ping, window, answer)
    }

    fn trouble(mut self, replica: usize, kind: Kind, from: u64, until: u64) -> Self {
        self.0.troubles.push(Trouble {
            replica,
            kind,
            from: ms(from),
            until: ms(until),
        });
        self
    }

    fn pulse(mut self, sent: u64, answered: u64, up: bool) -> Self {
        self.0.pulses.push(Pulse {
            replica: 0,
            sent: ms(sent),
            answered: ms(answered),
            up,
        });
        self
    }

    fn found(mut self, revoked: bool, enabled: bool, scoped: bool, secret: SecretNumber) -> Self {
        self.0.found.push(Found {
            key: KEY,
            by: By::Hand,
            form: Some(Form {
                enabled,
                scoped,
                revoked,
            }),
            secret: Some(secret),
        });
        self
    }

    #[track_caller]
    fn guilty_of(self, expected: &[Breach]) {
        let verdict = judge(&self.0);
        let breaches: Vec<Breach> = verdict.iter().map(|violation| violation.breach).collect();
        assert_eq!(breaches, expected, "{verdict:#?}");
    }

    #[track_caller]
    fn innocent(self) {
        self.guilty_of(&[]);
    }
}

use Answer::{Accepted, Lost, OutOfScope, Refused, Unavailable};
use Breach::{
    ChangeFailed, DeadKeyAccepted, LivingKeyRefused, NoAnswer, NotHealthy, NotServed, WriteLost,
    WrongScope,
};

fn revoked_by_0() -> Case {
    Case::new().change(By::Replica(0), What::Revoke, 100, 120)
}

#[test]
fn where_it_was_revoked_nothing_sent_afterwards_is_accepted() {
    revoked_by_0().pings(0, (120, 130), Accepted).innocent();
    revoked_by_0()
        .pings(0, (121, 130), Accepted)
        .guilty_of(&[DeadKeyAccepted]);
    revoked_by_0().pings(0, (121, 130), Refused).innocent();
    // While the change is under way either answer is right.
    revoked_by_0()
        .pings(0, (101, 105), Accepted)
        .pings(0, (101, 105), Refused)
        .innocent();
    // It was not decided before it was sent.
    revoked_by_0()
        .pings(0, (50, 90), Refused)
        .guilty_of(&[LivingKeyRefused]);
}

#[test]
fn elsewhere_there_is_a_bound() {
    revoked_by_0().pings(1, (1_220, 1_230), Accepted).innocent();
    revoked_by_0()
        .pings(1, (1_221, 1_230), Accepted)
        .guilty_of(&[DeadKeyAccepted]);
    // And for what is done by hand there is one everywhere.
    for replica in [0, 1] {
        let case = || Case::new().change(By::Hand, What::Revoke, 100, 120);
        case().pings(replica, (1_220, 1_230), Accepted).innocent();
        case()
            .pings(replica, (1_221, 1_230), Accepted)
            .guilty_of(&[DeadKeyAccepted]);
    }
}

#[test]
fn what_waited_in_the_sockets_of_a_stopped_process_was_decided_when_it_went_on() {
    // Sent before the revocation, answered long after it.
    let case = || revoked_by_0().pings(1, (60, 3_010), Accepted);
    case().innocent();
    case()
        .trouble(1, Kind::Stopped, 50, 3_000)
        .guilty_of(&[DeadKeyAccepted]);
    case().trouble(0, Kind::Stopped, 50, 3_000).innocent();
    // Sent before the stop, it may have been decided before.
    case().trouble(1, Kind::Stopped, 61, 3_000).innocent();
}

#[test]
fn a_new_secret_works_everywhere_at_once() {
    Case::new().pings(1, (11, 12), Accepted).innocent();
    Case::new()
        .pings(1, (11, 12), Refused)
        .guilty_of(&[LivingKeyRefused]);
    let rotated = || Case::new().change(By::Replica(0), What::Rotate(Some(NEW)), 100, 120);
    rotated()
        .asks(1, NEW, Route::Ping, (121, 122), Refused)
        .guilty_of(&[LivingKeyRefused]);
    // The old one is dead at once here, and elsewhere within the bound.
    rotated()
        .pings(0, (121, 122), Accepted)
        .guilty_of(&[DeadKeyAccepted]);
    rotated().pings(1, (121, 122), Accepted).innocent();
    rotated()
        .pings(1, (1_221, 1_222), Accepted)
        .guilty_of(&[DeadKeyAccepted]);
}

#[test]
fn a_secret_that_was_asked_about_too_early_works_within_the_bound() {
    let early = || Case::new().pings(1, (0, 5), Refused);
    early().pings(1, (1_110, 1_111), Refused).innocent();
    early()
        .pings(1, (1_111, 1_112), Refused)
        .guilty_of(&[LivingKeyRefused]);
    // But at once where it was made.
    early()
        .pings(0, (11, 12), Refused)
        .guilty_of(&[LivingKeyRefused]);
}

#[test]
fn to_disable_and_to_enable_are_alike() {
    let case = || {
        Case::new()
            .change(By::Replica(0), What::Enable(false), 100, 110)
            .change(By::Replica(1), What::Enable(true), 200, 210)
    };
    case().pings(2, (300, 310), Refused).innocent();
    case().pings(2, (300, 310), Accepted).innocent();
    case()
        .pings(1, (211, 220), Refused)
        .guilty_of(&[LivingKeyRefused]);
    case()
        .pings(2, (1_311, 1_320), Refused)
        .guilty_of(&[LivingKeyRefused]);
    // Whoever has answered a later change knows of all before it.
    Case::new()
        .change(By::Replica(0), What::Rotate(Some(NEW)), 100, 110)
        .change(By::Replica(1), What::Scope(false), 200, 210)
        .pings(1, (211, 220), Accepted)
        .guilty_of(&[DeadKeyAccepted]);
}

#[test]
fn scopes_are_judged_too() {
    let case = || Case::new().change(By::Replica(0), What::Scope(false), 100, 110);
    case()
        .asks(0, OLD, Route::Reports, (111, 120), OutOfScope)
        .pings(0, (111, 120), Accepted)
        .innocent();
    case()
        .asks(0, OLD, Route::Reports, (111, 120), Accepted)
        .guilty_of(&[WrongScope]);
    case()
        .asks(0, OLD, Route::Reports, (50, 60), OutOfScope)
        .guilty_of(&[WrongScope]);
    revoked_by_0()
        .asks(0, OLD, Route::Reports, (121, 122), OutOfScope)
        .guilty_of(&[DeadKeyAccepted]);
}

#[test]
fn what_is_in_doubt_may_be_either_until_it_is_settled() {
    let doubt = || {
        Case::new()
            .attempt(
                By::Replica(0),
                What::Enable(false),
                100,
                110,
                Outcome::InDoubt,
            )
            .trouble(0, Kind::Cut, 90, 110)
    };
    for moment in [150, 60_000] {
        doubt()
            .pings(1, (moment, moment + 1), Accepted)
            .pings(1, (moment, moment + 1), Refused)
            .innocent();
    }
    // Not before it was begun.
    doubt()
        .pings(1, (50, 60), Refused)
        .guilty_of(&[LivingKeyRefused]);
    let settled = || doubt().change(By::Replica(1), What::Enable(true), 300, 310);
    settled().pings(2, (1_410, 1_411), Refused).innocent();
    settled()
        .pings(2, (1_411, 1_412), Refused)
        .guilty_of(&[LivingKeyRefused]);
    settled().found(false, true, true, OLD).innocent();
    settled()
        .found(false, false, true, OLD)
        .guilty_of(&[WriteLost]);
    doubt().found(false, false, true, OLD).innocent();
    doubt().found(false, true, true, OLD).innocent();
}

#[test]
fn a_failure_is_forgiven_in_times_of_trouble_and_a_little_after() {
    let cut = |kind| Case::new().trouble(0, kind, 1_000, 2_000);
    cut(Kind::Cut)
        .pings(0, (900, 1_000), Unavailable)
        .pings(0, (4_000, 4_001), Unavailable)
        .innocent();
    for window in [(900, 999), (4_001, 4_002)] {
        cut(Kind::Cut)
            .pings(0, window, Unavailable)
            .guilty_of(&[NotServed]);
    }
    cut(Kind::Cut)
        .pings(1, (1_500, 1_501), Unavailable)
        .guilty_of(&[NotServed]);
    cut(Kind::Cut)
        .pings(0, (1_500, 1_501), Lost)
        .guilty_of(&[NoAnswer]);
    cut(Kind::Killed).pings(0, (1_500, 1_501), Lost).innocent();
    // An outage is never a refusal.
    cut(Kind::Cut)
        .pings(0, (1_500, 1_501), Refused)
        .guilty_of(&[LivingKeyRefused]);
    cut(Kind::Hindered)
        .pings(0, (1_500, 1_501), Unavailable)
        .guilty_of(&[NotServed]);
    Case::new()
        .pings(0, (20, 21), Answer::Odd("500".to_owned()))
        .guilty_of(&[Breach::Odd]);
}

#[test]
fn changes_fail_in_times_of_trouble_alone() {
    let fails =
        |case: Case, by| case.attempt(by, What::Enable(true), 1_500, 1_600, Outcome::InDoubt);
    fails(Case::new(), By::Replica(0)).guilty_of(&[ChangeFailed]);
    fails(Case::new(), By::Hand).guilty_of(&[ChangeFailed]);
    for kind in [Kind::Cut, Kind::Hindered, Kind::Killed, Kind::Stopped] {
        let troubled = || Case::new().trouble(0, kind, 1_000, 2_000);
        fails(troubled(), By::Replica(0)).innocent();
        fails(troubled(), By::Hand).innocent();
        fails(troubled(), By::Replica(1)).guilty_of(&[ChangeFailed]);
    }
    Case::new()
        .attempt(
            By::Replica(0),
            What::Enable(true),
            20,
            30,
            Outcome::Odd("409".to_owned()),
        )
        .guilty_of(&[Breach::Odd]);
}

#[test]
fn health_is_up_unless_the_process_is_not() {
    Case::new().pulse(10, 11, true).innocent();
    Case::new().pulse(10, 11, false).guilty_of(&[NotHealthy]);
    Case::new()
        .trouble(0, Kind::Cut, 0, 100)
        .pulse(10, 11, false)
        .guilty_of(&[NotHealthy]);
    Case::new()
        .trouble(0, Kind::Killed, 0, 100)
        .pulse(10, 11, false)
        .innocent();
}

#[test]
fn what_is_found_is_what_was_acknowledged() {
    Case::new().found(false, true, true, OLD).innocent();
    Case::new()
        .found(true, true, true, OLD)
        .guilty_of(&[WriteLost]);
    Case::new()
        .found(false, true, true, NEW)
        .guilty_of(&[WriteLost]);
    revoked_by_0().found(true, true, true, OLD).innocent();
    revoked_by_0()
        .found(false, true, true, OLD)
        .guilty_of(&[WriteLost]);
    Case::new()
        .change(By::Replica(0), What::Scope(false), 20, 30)
        .found(false, true, true, OLD)
        .guilty_of(&[WriteLost]);
    let mut gone = Case::new().found(false, true, true, OLD);
    gone.0.found[0].form = None;
    gone.guilty_of(&[WriteLost]);
}
