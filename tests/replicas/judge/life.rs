//! What one key was when, as far as that is known.

use std::time::Duration;

use crate::history::{Answer, By, Change, Found, Moment, Outcome, Route, SecretNumber, What};

/// What a key is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    exists: bool,
    /// Which secret opens it; `None` if none that the run knows does.
    secret: Option<SecretNumber>,
    enabled: bool,
    scoped: bool,
    revoked: bool,
}

pub(super) struct Life<'a> {
    changes: Vec<&'a Change>,
    /// What it may be before the first change, and after each.
    states: Vec<Vec<State>>,
}

impl<'a> Life<'a> {
    /// Of all changes of one key, in their order.
    pub(super) fn of(changes: Vec<&'a Change>) -> Self {
        let nothing = State {
            exists: false,
            secret: None,
            enabled: true,
            scoped: true,
            revoked: false,
        };
        let mut states = vec![vec![nothing]];
        for change in &changes {
            let before = &states[states.len() - 1];
            let mut after: Vec<State> =
                before.iter().map(|state| state.with(change.what)).collect();
            if change.outcome != Outcome::Acknowledged {
                after.extend_from_slice(before);
            }
            after.dedup();
            states.push(after);
        }
        Self { changes, states }
    }

    pub(super) fn changes(&self) -> &[&'a Change] {
        &self.changes
    }

    /// The answers that are right for someone who decides within this time, and who may believe
    /// what was before a change for as long as `patience` says after it was acknowledged.
    pub(super) fn answers(
        &self,
        secret: SecretNumber,
        route: Route,
        (from, until): (Moment, Moment),
        patience: impl Fn(&Change) -> Duration,
    ) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut believed_until = Moment::MAX;
        // From the last to the first: who must know of a change must know of those before it.
        for (index, states) in self.states.iter().enumerate().rev() {
            let begun = match index.checked_sub(1) {
                Some(before) => self.changes[before].begun,
                None => Moment::ZERO,
            };
            if let Some(next) = self.changes.get(index)
                && next.outcome == Outcome::Acknowledged
            {
                believed_until = believed_until.min(next.ended + patience(next));
            }
            if begun <= until && from <= believed_until {
                answers.extend(states.iter().map(|state| state.answer(secret, route)));
            }
        }
        answers.sort_by_key(|answer| format!("{answer:?}"));
        answers.dedup();
        answers
    }

    pub(super) fn may_end_as(&self, found: &Found) -> bool {
        self.states[self.states.len() - 1].iter().any(|state| {
            if !state.exists || !found.exists {
                return state.exists == found.exists;
            }
            let opened_alike = found.by != By::Hand || state.secret == found.secret;
            let told = (found.enabled, found.scoped, found.revoked);
            opened_alike && (state.enabled, state.scoped, state.revoked) == told
        })
    }
}

impl State {
    fn with(self, what: What) -> Self {
        match what {
            What::Create(secret) => Self {
                exists: true,
                secret,
                ..self
            },
            What::Rotate(secret) => Self { secret, ..self },
            What::Enable(enabled) => Self { enabled, ..self },
            What::Scope(scoped) => Self { scoped, ..self },
            What::Revoke => Self {
                revoked: true,
                ..self
            },
        }
    }

    fn answer(self, secret: SecretNumber, route: Route) -> Answer {
        if self.revoked || !self.enabled || self.secret != Some(secret) {
            Answer::Refused
        } else if route == Route::Reports && !self.scoped {
            Answer::OutOfScope
        } else {
            Answer::Accepted
        }
    }
}
