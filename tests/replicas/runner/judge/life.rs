//! What one key was when, as far as that is known.

use std::time::Duration;

use crate::runner::history::{
    Answer, By, Change, Form, Found, Moment, Outcome, Route, SecretNumber, What,
};

/// What a key is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// `None` if it does not exist.
    form: Option<Form>,
    /// Which secret opens it; `None` if none that the run knows does.
    secret: Option<SecretNumber>,
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
            form: None,
            secret: None,
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
            let knows = found.by == By::Hand && found.form.is_some();
            state.form == found.form && (!knows || state.secret == found.secret)
        })
    }
}

impl State {
    fn with(self, what: What) -> Self {
        let new = Form {
            enabled: true,
            scoped: true,
            revoked: false,
        };
        let form = self.form.unwrap_or(new);
        let (secret, form) = match what {
            What::Create(secret) => (secret, new),
            What::Rotate(secret) => (secret, form),
            What::Enable(enabled) => (self.secret, Form { enabled, ..form }),
            What::Scope(scoped) => (self.secret, Form { scoped, ..form }),
            What::Revoke => {
                let revoked = true;
                (self.secret, Form { revoked, ..form })
            }
        };
        let form = Some(form);
        Self { form, secret }
    }

    fn answer(self, secret: SecretNumber, route: Route) -> Answer {
        let lives = |form: &Form| form.enabled && !form.revoked && self.secret == Some(secret);
        match self.form.filter(lives) {
            None => Answer::Refused,
            Some(form) if route == Route::Reports && !form.scoped => Answer::OutOfScope,
            Some(_) => Answer::Accepted,
        }
    }
}
