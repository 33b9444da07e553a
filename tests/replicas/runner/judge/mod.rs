//! Judges a history by what is promised. A pure function: the same history, the same verdict.
//!
//! - A request is answered by what its key was at some moment at which the replica may have decided:
//!   after it was sent (and after the end of a stop that it was sent into), before it was answered.
//!   What a key was before an acknowledged change may be believed until the answer by the replica that
//!   gave it, and for `max_staleness` longer by others; but a secret that nobody could ask about
//!   before it was made works everywhere at once.
//! - A change in doubt may have happened or not, until a later one of the same key is acknowledged:
//!   the row's lock puts them in order.
//! - 503 is for times of trouble and a little after; silence only for replicas that were killed.
//! - What is found in the end is what was acknowledged.

mod life;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use self::life::Life;
use crate::runner::history::{
    Answer, By, Change, Found, History, KeyNumber, Kind, Moment, Outcome, Request, SecretNumber,
    Trouble, What,
};

/// What a clock, a scheduler and a network in between may take on top of `max_staleness`.
pub(crate) const SLACK: Duration = Duration::from_millis(100);

/// How soon all is well after the end of a fault.
pub(crate) const RECOVERY: Duration = Duration::from_secs(2);

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Breach {
    /// A dead key was let in.
    DeadKeyAccepted,
    /// A living key was answered with 401.
    LivingKeyRefused,
    /// A living key was judged by scopes that it did not have.
    WrongScope,
    /// 503 though nothing was wrong, or not any more.
    NotServed,
    /// No answer though the process was not killed.
    NoAnswer,
    /// A change that failed though nothing was wrong.
    ChangeFailed,
    /// `/health` did not answer though the process was not killed.
    NotHealthy,
    /// What was acknowledged is not there.
    WriteLost,
    /// An answer that is none of those promised.
    Odd,
}

#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) breach: Breach,
    pub(crate) told: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.breach, self.told)
    }
}

pub(crate) fn judge(history: &History) -> Vec<Violation> {
    Judge::of(history).verdict()
}

struct Judge<'a> {
    history: &'a History,
    lives: HashMap<KeyNumber, Life<'a>>,
    /// Secrets that were asked about before they were known to be.
    asked_early: HashSet<SecretNumber>,
}

impl<'a> Judge<'a> {
    fn of(history: &'a History) -> Self {
        let mut changes: HashMap<KeyNumber, Vec<&Change>> = HashMap::new();
        let mut made: HashMap<SecretNumber, Moment> = HashMap::new();
        for change in &history.changes {
            changes.entry(change.key).or_default().push(change);
            if let What::Create(Some(secret)) | What::Rotate(Some(secret)) = change.what {
                made.insert(secret, change.ended);
            }
        }
        let lives = changes.into_iter().map(|(key, mut changes)| {
            changes.sort_by_key(|change| change.begun);
            (key, Life::of(changes))
        });
        let early = |request: &&Request| {
            let made = made.get(&request.secret);
            made.is_none_or(|&made| request.sent <= made)
        };
        Self {
            history,
            lives: lives.collect(),
            asked_early: history
                .requests
                .iter()
                .filter(early)
                .map(|request| request.secret)
                .collect(),
        }
    }

    fn verdict(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut found = |breach: Option<Breach>, what: &dyn fmt::Debug, key: KeyNumber| {
            if let Some(breach) = breach {
                let life = self.lives.get(&key).map_or(&[][..], Life::changes);
                let told = format!("{what:?}, and the key's life is {life:?}");
                violations.push(Violation { breach, told });
            }
        };
        for request in &self.history.requests {
            found(self.request(request), request, request.key);
        }
        for change in &self.history.changes {
            found(self.change(change), change, change.key);
        }
        for teller in &self.history.found {
            found(self.found(teller), teller, teller.key);
        }
        for pulse in &self.history.pulses {
            let killed = self.troubled(pulse.replica, (pulse.sent, pulse.answered), |kind| {
                kind == Kind::Killed
            });
            if !pulse.up && !killed {
                let breach = Breach::NotHealthy;
                let told = format!("{pulse:?}");
                violations.push(Violation { breach, told });
            }
        }
        violations
    }

    fn request(&self, request: &Request) -> Option<Breach> {
        let window = (request.sent, request.answered);
        let troubled = |by: fn(Kind) -> bool| self.troubled(request.replica, window, by);
        match request.answer {
            Answer::Odd(_) => return Some(Breach::Odd),
            Answer::Lost if troubled(|kind| kind == Kind::Killed) => return None,
            Answer::Lost => return Some(Breach::NoAnswer),
            Answer::Unavailable if troubled(|kind| kind != Kind::Hindered) => return None,
            Answer::Unavailable => return Some(Breach::NotServed),
            Answer::Accepted | Answer::Refused | Answer::OutOfScope => {}
        }
        let life = self.lives.get(&request.key)?;
        let decided = (self.not_before(request), request.answered);
        let patience = |change: &Change| {
            let fresh = match change.what {
                What::Create(Some(secret)) | What::Rotate(Some(secret)) => {
                    secret == request.secret && !self.asked_early.contains(&secret)
                }
                _ => false,
            };
            if fresh || change.by == By::Replica(request.replica) {
                Duration::ZERO
            } else {
                self.history.max_staleness + SLACK
            }
        };
        let legal = life.answers(request.secret, request.route, decided, patience);
        if legal.contains(&request.answer) {
            return None;
        }
        Some(match request.answer {
            Answer::Refused => Breach::LivingKeyRefused,
            _ if legal == [Answer::Refused] => Breach::DeadKeyAccepted,
            _ => Breach::WrongScope,
        })
    }

    /// What waits in the sockets of a process that is stopped is decided about afterwards.
    fn not_before(&self, request: &Request) -> Moment {
        let stops = self.history.troubles.iter().filter(|trouble| {
            trouble.replica == request.replica
                && trouble.kind == Kind::Stopped
                && (trouble.from..trouble.until).contains(&request.sent)
        });
        let ends = stops.map(|stop| stop.until);
        ends.max().unwrap_or(request.sent)
    }

    fn change(&self, change: &Change) -> Option<Breach> {
        match (&change.outcome, change.by) {
            (Outcome::Acknowledged, _) => None,
            (Outcome::Odd(_), _) => Some(Breach::Odd),
            (Outcome::InDoubt, by) => {
                let window = (change.begun, change.ended);
                let forgiven = self.history.troubles.iter().any(|trouble| {
                    (by == By::Replica(trouble.replica) || by == By::Hand)
                        && overlaps(trouble, window)
                });
                (!forgiven).then_some(Breach::ChangeFailed)
            }
        }
    }

    fn found(&self, found: &Found) -> Option<Breach> {
        let life = self.lives.get(&found.key)?;
        (!life.may_end_as(found)).then_some(Breach::WriteLost)
    }

    fn troubled(
        &self,
        replica: usize,
        window: (Moment, Moment),
        by: impl Fn(Kind) -> bool,
    ) -> bool {
        self.history.troubles.iter().any(|trouble| {
            trouble.replica == replica && by(trouble.kind) && overlaps(trouble, window)
        })
    }
}

/// Whether something went on in a time of trouble, or a little after.
fn overlaps(trouble: &Trouble, (from, until): (Moment, Moment)) -> bool {
    from <= trouble.until + RECOVERY && trouble.from <= until
}
