//! Writes on behalf of a caller: what it takes to ask [`authority`], and what to make of its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::authority::{self, Draft, KeyPatch, Rotation, SelfService};
use super::caller::Caller;
use super::limits::Limits;
use super::new_key::{Created, Imported, MadeElsewhere, NewKey};
use super::{Keyring, WriteError};
use crate::excerpt::excerpt;
use crate::key::{Environment, GenerateError, GeneratedKey, KeyDigest, KeyHint, KeyId, PlainKey};
use crate::scope::{Grant, RoleName, RoleSet, Scope, ScopeSet};
use crate::store::{
    KeyRecord, Outcome, Owner, Refusal, ReplayKey, Rows, Subjects, Transacted, Whose,
};
use crate::timestamp::Timestamp;

/// How many scopes or roles an error lists.
const MOST_NAMED: usize = 50;

/// A request that can be recognised when it comes again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recognisable {
    /// By its caller, endpoint and `Idempotency-Key`.
    pub(crate) by: ReplayKey,
    /// A digest of what it asks for.
    pub(crate) request: [u8; 32],
}

/// How a key is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Making {
    /// Only if the store never had a key.
    pub(crate) only_first: bool,
    pub(crate) recognisable: Option<Recognisable>,
    pub(crate) limits: Limits,
}

impl Keyring {
    pub(crate) async fn create_as(
        &self,
        caller: Caller,
        new: NewKey,
        making: Making,
    ) -> Result<Made, WriteError> {
        let asked = self.fill_in(&caller, new, &making)?;
        let key = self.generate(&asked.environment)?;
        let draft = asked.draft(key.digest, key.hint, &making)?;
        let subjects = asking(&caller, &draft, &making);
        let roles = self.inner.roles.clone();
        let decide = move |rows: &_| authority::create(&caller, &draft, &roles, rows);
        let Changed { now, record, .. } = changed(self.inner.write(subjects, decide).await?)?;
        Ok(Made {
            now,
            record,
            secret: key.plain,
        })
    }

    /// Makes a key whose secret was made elsewhere.
    pub(crate) async fn import_as(
        &self,
        caller: Caller,
        new: NewKey,
        elsewhere: MadeElsewhere,
        making: Making,
    ) -> Result<(Timestamp, Imported), WriteError> {
        let asked = self.fill_in(&caller, new, &making)?;
        let MadeElsewhere { digest, hint } = elsewhere;
        // Whoever hands in more than the beginning would have the key shown in every list.
        let format = &self.inner.format;
        let hint = format.imported_hint(hint.as_str(), &asked.environment)?;
        let draft = Draft {
            made_elsewhere: true,
            ..asked.draft(digest, hint, &making)?
        };
        let mut subjects = asking(&caller, &draft, &making);
        subjects.digest = Some(digest);
        let roles = self.inner.roles.clone();
        let there = Arc::new(Mutex::new(None));
        let found = Arc::clone(&there);
        let decide = move |rows: &Rows| {
            let decision = authority::create(&caller, &draft, &roles, rows);
            // A store that starts over asks again: the last time counts.
            let holder = match (&decision, &rows.digest_holder) {
                (Err(Refusal::DigestTaken), Some(holder)) if holder.owner == draft.owner => {
                    Some((rows.now, holder.clone()))
                }
                _ => None,
            };
            *found.lock().unwrap_or_else(PoisonError::into_inner) = holder;
            decision
        };
        let written = self.inner.write(subjects, decide).await;
        let there = there.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (written, there) {
            (Err(WriteError::Refused(Refusal::DigestTaken)), Some((now, holder))) => {
                Ok((now, Imported::Exists(holder)))
            }
            (written, _) => {
                let Changed { now, record } = changed(written?)?;
                Ok((now, Imported::Made(record)))
            }
        }
    }

    /// What is asked for, with what is left open filled in for this caller.
    pub(super) fn fill_in(
        &self,
        caller: &Caller,
        new: NewKey,
        making: &Making,
    ) -> Result<Asked, WriteError> {
        self.must_know(Some(&new.scopes), Some(&new.roles))?;
        let declared = self.environments();
        let (own, first) = caller.by_default(declared, making.limits.environments());
        let first = first.unwrap_or(self.inner.format.default_environment());
        let environment = new.environment.as_ref().unwrap_or(first).clone();
        Ok(Asked {
            owner: new.owner.clone().unwrap_or(own),
            environment,
            new,
        })
    }

    pub(crate) async fn update_as(
        &self,
        caller: Caller,
        id: &KeyId,
        patch: KeyPatch,
        limits: Limits,
    ) -> Result<Changed, WriteError> {
        self.must_know(patch.scopes.as_ref(), patch.roles.as_ref())?;
        let self_service = self.self_service();
        let subjects = caller.subjects(Some(id.clone()));
        let roles = self.inner.roles.clone();
        let decide =
            move |rows: &_| authority::update(&caller, &patch, self_service, &limits, &roles, rows);
        changed(self.inner.write(subjects, decide).await?)
    }

    /// `environment` is that of the key, which its caller has looked up: it never changes. Where
    /// it is declared no more, any other will do: the decision refuses it, in its turn.
    pub(crate) async fn rotate_as(
        &self,
        caller: Caller,
        id: &KeyId,
        environment: &Environment,
        grace: Duration,
    ) -> Result<(Changed, PlainKey), WriteError> {
        let key = self.generate(environment)?;
        let rotation = Rotation {
            digest: key.digest,
            hint: key.hint,
            environment: environment.clone(),
            grace,
            self_service: self.self_service(),
        };
        let subjects = caller.subjects(Some(id.clone()));
        let roles = self.inner.roles.clone();
        let decide = move |rows: &_| authority::rotate(&caller, &rotation, &roles, rows);
        let rotated = changed(self.inner.write(subjects, decide).await?)?;
        Ok((rotated, key.plain))
    }

    pub(crate) async fn end_previous_as(
        &self,
        caller: Caller,
        id: &KeyId,
    ) -> Result<Changed, WriteError> {
        let subjects = caller.subjects(Some(id.clone()));
        let roles = self.inner.roles.clone();
        let decide = move |rows: &_| authority::end_previous(&caller, &roles, rows);
        changed(self.inner.write(subjects, decide).await?)
    }

    pub(crate) async fn revoke_as(
        &self,
        caller: Caller,
        id: &KeyId,
        reason: Option<String>,
    ) -> Result<Changed, WriteError> {
        let subjects = caller.subjects(Some(id.clone()));
        let roles = self.inner.roles.clone();
        let decide = move |rows: &_| authority::revoke(&caller, reason.as_deref(), &roles, rows);
        changed(self.inner.write(subjects, decide).await?)
    }

    pub(crate) async fn revoke_all_as(
        &self,
        caller: Caller,
        whose: Whose,
        reason: String,
    ) -> Result<u64, WriteError> {
        let subjects = caller.subjects(None);
        let roles = self.inner.roles.clone();
        let decide = move |rows: &_| authority::revoke_all(&caller, &whose, &reason, &roles, rows);
        match self.inner.write(subjects, decide).await?.outcome {
            Outcome::RevokedAll { revoked, .. } => Ok(revoked),
            Outcome::Refused(refusal) => Err(WriteError::Refused(refusal)),
            Outcome::Committed { .. } | Outcome::Kept { .. } => {
                Err(WriteError::OutcomeUnknown(None))
            }
        }
    }

    pub(super) fn generate(&self, environment: &Environment) -> Result<GeneratedKey, WriteError> {
        self.inner
            .format
            .generate(environment)
            .map_err(|error| match error {
                GenerateError::UnknownEnvironment(environment) => {
                    WriteError::UnknownEnvironment(environment.to_string())
                }
                GenerateError::Generator(error) => WriteError::NoRandomness(error),
            })
    }

    fn self_service(&self) -> SelfService {
        self.inner.self_service
    }

    /// Whoever sets a scope or a role must know it, as far as the application says what there is.
    fn must_know(
        &self,
        scopes: Option<&ScopeSet>,
        roles: Option<&RoleSet>,
    ) -> Result<(), WriteError> {
        if let Some(grant) = scopes.and_then(|scopes| self.undeclared(scopes)) {
            return Err(self.unknown_scope(grant));
        }
        match roles.and_then(|roles| self.inner.roles.unknown(roles).next()) {
            Some(role) => Err(self.unknown_role(role)),
            None => Ok(()),
        }
    }

    /// That this scope is none of those that are declared, which are named.
    pub(crate) fn unknown_scope(&self, grant: &Grant) -> WriteError {
        let catalogue = self.inner.catalogue.as_ref();
        let known = catalogue.map(|catalogue| named(catalogue.iter().map(Scope::as_str)));
        WriteError::UnknownScope {
            scope: excerpt(grant.as_str()),
            known: known.unwrap_or_default(),
        }
    }

    /// That this role is none of those that are known, which are named.
    pub(crate) fn unknown_role(&self, role: &RoleName) -> WriteError {
        WriteError::UnknownRole {
            // A key that was put in the wrong place may be the name of a role, and must not come back.
            role: excerpt(role.as_str()),
            known: named(self.inner.roles.iter().map(|(name, _)| name.as_str())),
        }
    }

    /// The first of these that the application has not declared, if it declares any.
    pub(crate) fn undeclared<'a>(&self, scopes: &'a ScopeSet) -> Option<&'a Grant> {
        scopes.iter().find(|grant| !self.declares(grant))
    }

    /// Whether the application has declared this, or declares nothing.
    pub(crate) fn declares(&self, grant: &Grant) -> bool {
        let catalogue = self.inner.catalogue.as_ref();
        catalogue.is_none_or(|catalogue| catalogue.permits(grant))
    }
}

/// A list for an error; of a long one the beginning.
fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_at_checked(MOST_NAMED) {
        _ if names.is_empty() => "none".to_owned(),
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// A key to be made, of whom and where.
pub(super) struct Asked {
    owner: Owner,
    environment: Environment,
    new: NewKey,
}

impl Asked {
    #[cfg(feature = "admin")]
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(super) fn draft(
        self,
        digest: KeyDigest,
        hint: KeyHint,
        making: &Making,
    ) -> Result<Draft, WriteError> {
        let Self {
            owner,
            environment,
            new,
        } = self;
        Ok(Draft {
            id: KeyId::generate().map_err(|error| WriteError::NoRandomness(error.into()))?,
            digest,
            hint,
            name: new.name,
            owner,
            environment,
            scopes: new.scopes,
            roles: new.roles,
            resources: new.resources,
            allowed_ips: new.allowed_ips,
            expiry: new.expiry,
            metadata: new.metadata,
            made_elsewhere: false,
            only_first: making.only_first,
            request: making.recognisable.map(|known| known.request),
            limits: making.limits.clone(),
        })
    }
}

/// The rows that making a key is about.
pub(super) fn asking(caller: &Caller, draft: &Draft, making: &Making) -> Subjects {
    let counts = draft.limits.live_keys.is_some() && caller.is_limited();
    Subjects {
        replay: making.recognisable.map(|known| known.by),
        count_owner: counts.then(|| draft.owner.clone()),
        ..caller.subjects(None)
    }
}

/// A key that was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The store's clock.
    #[cfg_attr(
        not(feature = "admin"),
        expect(dead_code, reason = "only the admin router asks")
    )]
    pub(crate) now: Timestamp,
    pub(crate) record: KeyRecord,
    pub(crate) secret: PlainKey,
}

impl From<Made> for Created {
    fn from(made: Made) -> Self {
        Self {
            key: made.record,
            secret: made.secret,
        }
    }
}

/// A key after a write that was not refused.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The store's clock.
    pub(crate) now: Timestamp,
    pub(crate) record: KeyRecord,
}

pub(super) fn changed(transacted: Transacted) -> Result<Changed, WriteError> {
    let now = transacted.now;
    match transacted.outcome {
        Outcome::Committed { record, .. } | Outcome::Kept { record, .. } => {
            Ok(Changed { now, record })
        }
        Outcome::Refused(refusal) => Err(WriteError::Refused(refusal)),
        // Not what any decision here asks for: a store that answers so cannot be believed.
        Outcome::RevokedAll { .. } => Err(WriteError::OutcomeUnknown(None)),
    }
}
