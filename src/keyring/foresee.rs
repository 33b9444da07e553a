//! What a transaction would find, asked without doing anything.
//!
//! What the application is to be asked about a new key takes time, and no transaction can stay open
//! for that. So whatever comes first is asked in a transaction of its own, and all of it again in
//! the one that makes the key.

use std::sync::{Arc, Mutex, PoisonError};

use super::authority;
use super::caller::Caller;
use super::limits::is_bound;
use super::new_key::{MadeElsewhere, NewKey};
use super::on_behalf::{Making, asking};
use super::{Keyring, WriteError};
use crate::key::Environment;
use crate::store::{Decision, Owner, Refusal, Rows, Subjects};

/// What would come of a request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// The policy has no say in it: the caller is exempt, or no key is made that is not there.
    Free,
    /// A key would be made, if the policy allows it, or would be but for its digest, which is or was
    /// that of somebody else's secret. The policy is asked first then, and counts it as a key:
    /// neither a limit that is reached nor one that is not tells which digests others have.
    Bound {
        /// Whose.
        owner: Owner,
        /// Of which environment.
        environment: Environment,
        /// Whether its owner has as many as one may have.
        limit_reached: bool,
    },
}

impl Keyring {
    /// Whether this could be made, and by what it would be limited. Fails where it would be refused
    /// for another reason.
    pub(crate) async fn foresee(
        &self,
        caller: &Caller,
        new: &NewKey,
        elsewhere: Option<&MadeElsewhere>,
        making: &Making,
    ) -> Result<Foreseen, WriteError> {
        if !caller.is_limited() {
            return Ok(Foreseen::Free);
        }
        let asked = self.fill_in(caller, new.clone(), making)?;
        let mut draft = if let Some(MadeElsewhere { digest, hint }) = elsewhere {
            asked.draft(*digest, hint.clone(), making)?
        } else {
            let key = self.generate(asked.environment())?;
            asked.draft(key.digest, key.hint, making)?
        };
        draft.made_elsewhere = elsewhere.is_some();
        let subjects = Subjects {
            digest: elsewhere.map(|elsewhere| elsewhere.digest),
            ..asking(caller, &draft, making)
        };
        // Everything else comes first, the application's own word included.
        let limits = draft.limits.clone();
        draft.limits.live_keys = None;
        let (caller, roles) = (caller.clone(), self.inner.roles.clone());
        self.ask(subjects, move |rows| {
            // Whether it is the owner's own is found out by whoever goes on.
            let holder = rows.digest_holder.as_ref();
            let is_own = holder.is_some_and(|holder| holder.owner == draft.owner);
            match authority::create(&caller, &draft, &roles, rows) {
                Err(Refusal::DigestTaken) if is_own => Ok(Foreseen::Free),
                Ok(Decision::Insert { .. }) | Err(Refusal::DigestTaken)
                    if is_bound(&caller.power(&roles, rows)?) =>
                {
                    let limit_reached = limits.permit_one_more(rows).is_err();
                    Ok(Foreseen::Bound {
                        owner: draft.owner.clone(),
                        environment: draft.environment.clone(),
                        limit_reached,
                    })
                }
                Ok(_) | Err(Refusal::DigestTaken) => Ok(Foreseen::Free),
                Err(refusal) => Err(refusal),
            }
        })
        .await
    }

    /// Whether a key has ever been in the store.
    pub(crate) async fn ever_had_a_key(&self) -> Result<bool, WriteError> {
        self.ask(Subjects::default(), |rows| Ok(rows.ever_had_a_key))
            .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        subjects: Subjects,
        mut question: impl FnMut(&Rows) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, WriteError> {
        // A store that starts over asks again: the last time counts.
        let answered = Arc::new(Mutex::new(None));
        let answer = Arc::clone(&answered);
        let decide = move |rows: &Rows| {
            let said = question(rows);
            let refusal = said.as_ref().err().copied();
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = said.ok();
            Err(refusal.unwrap_or(Refusal::OnlyAsked))
        };
        let refused = self.inner.write(subjects, decide).await;
        let answer = answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match (refused, answer) {
            (Err(WriteError::Refused(Refusal::OnlyAsked)), Some(answer)) => Ok(answer),
            (Err(error), _) => Err(error),
            // Nothing was to be done: a store that says it was cannot be believed.
            (Ok(_), _) => Err(WriteError::OutcomeUnknown(None)),
        }
    }
}
