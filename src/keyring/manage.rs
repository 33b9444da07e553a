//! Making, listing, changing and revoking keys.

use std::fmt;
use std::sync::Arc;

use tokio::time::timeout;

use super::authority::{self, Caller, Draft, Expiry, KeyPatch};
use super::writes::PATIENCE;
use super::{Keyring, WriteError};
use crate::key::{Environment, GenerateError, KeyId, PlainKey};
use crate::scope::{Grant, InvalidScope, ScopeSet};
use crate::store::{
    InvalidText, KeyName, KeyRecord, ListQuery, Outcome, Owner, Read, Refusal, StoreError,
    StoreErrorKind, Transacted,
};

/// A key to be made.
///
/// ```
/// # use portcullis::keyring::{Expiry, NewKey};
/// # use std::time::Duration;
/// let key = NewKey::named("nightly export")?
///     .owner("acme-corp")?
///     .scopes(["reports:read", "projects:*"])?
///     .expiry(Expiry::In(Duration::from_hours(24)));
/// # let _ = key;
/// # Ok::<_, portcullis::keyring::InvalidNewKey>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NewKey {
    pub(crate) name: KeyName,
    pub(crate) owner: Option<Owner>,
    pub(crate) environment: Option<Environment>,
    pub(crate) scopes: ScopeSet,
    pub(crate) expiry: Expiry,
}

/// Why a key cannot be made like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNewKey {
    /// The name.
    #[error("the name {0}")]
    Name(InvalidText),
    /// The owner.
    #[error("the owner {0}")]
    Owner(InvalidText),
    /// One of the scopes, or their number.
    #[error(transparent)]
    Scopes(#[from] InvalidScope),
}

impl NewKey {
    /// A key with this name that grants nothing, belongs to `admin`, is of the environment that
    /// was declared first, and never expires. The other methods replace each of these.
    pub fn named(name: &str) -> Result<Self, InvalidNewKey> {
        Ok(Self {
            name: KeyName::parse(name).map_err(InvalidNewKey::Name)?,
            owner: None,
            environment: None,
            scopes: ScopeSet::empty(),
            expiry: Expiry::AsCaller,
        })
    }

    /// Whose key it is.
    pub fn owner(mut self, owner: &str) -> Result<Self, InvalidNewKey> {
        self.owner = Some(Owner::parse(owner).map_err(InvalidNewKey::Owner)?);
        Ok(self)
    }

    /// What it grants.
    pub fn scopes(
        mut self,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNewKey> {
        self.scopes = ScopeSet::parse(scopes)?;
        Ok(self)
    }

    /// Which environment is spelled out in it.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// When its life ends.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }
}

/// A key just made. The secret is here and nowhere else: the store has its digest only.
pub struct Created {
    /// The key.
    pub key: KeyRecord,
    /// Its secret, to be shown once.
    pub secret: PlainKey,
}

impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("key", &self.key)
            .field("secret", &self.secret)
            .finish()
    }
}

impl Keyring {
    /// Makes a key, on behalf of the application itself.
    pub async fn create(&self, new: NewKey) -> Result<Created, WriteError> {
        self.create_as(Caller::System, new, false).await
    }

    /// Makes the very first key of a new store: owner `admin`, everything granted. `None` if the
    /// store has, or ever had, a key. Of several processes that ask at once, one gets a key.
    pub async fn create_first(&self) -> Result<Option<Created>, WriteError> {
        let new = NewKey {
            name: KeyName::of_the_first_key(),
            owner: None,
            environment: None,
            scopes: ScopeSet::everything(),
            expiry: Expiry::Never,
        };
        match self.create_as(Caller::System, new, true).await {
            Ok(created) => Ok(Some(created)),
            Err(WriteError::Refused(Refusal::NotTheFirst)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One key, dead or alive; `None` if there is none.
    pub async fn get(&self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.read(id.clone()).await.map(|read| read.value)
    }

    /// Keys, newest first.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<KeyRecord>, StoreError> {
        self.read_list(query).await.map(|read| read.value)
    }

    pub(crate) async fn read(&self, id: KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        let store = Arc::clone(&self.inner.store);
        patiently(async move { store.get(&id).await }).await
    }

    pub(crate) async fn read_list(
        &self,
        query: ListQuery,
    ) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        let store = Arc::clone(&self.inner.store);
        patiently(async move { store.list(&query).await }).await
    }

    #[cfg(feature = "admin")]
    pub(crate) async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        let store = Arc::clone(&self.inner.store);
        patiently(async move { store.cursor_key().await }).await
    }

    /// Changes a key. Fails for one that is revoked or expired.
    pub async fn update(&self, id: &KeyId, patch: KeyPatch) -> Result<KeyRecord, WriteError> {
        let transacted = self.update_as(Caller::System, id, patch).await?;
        changed(transacted).map(|read| read.value)
    }

    /// Revokes a key, for ever. Once this has returned, this keyring accepts it no more; other
    /// replicas follow within their poll interval and at the latest after `max_staleness`.
    ///
    /// A key that is revoked already stays as it is, first time and reason kept.
    pub async fn revoke(&self, id: &KeyId, reason: Option<&str>) -> Result<KeyRecord, WriteError> {
        let reason = reason.map(str::to_owned);
        let transacted = self.revoke_as(Caller::System, id, reason).await?;
        changed(transacted).map(|read| read.value)
    }

    pub(crate) async fn create_as(
        &self,
        caller: Caller,
        new: NewKey,
        only_first: bool,
    ) -> Result<Created, WriteError> {
        let inner = &self.inner;
        if let Some(grant) = self.undeclared(&new.scopes) {
            return Err(WriteError::UnknownScope(grant.to_string()));
        }
        let (owner, environment) = match (&caller, new.owner, new.environment) {
            (_, Some(owner), Some(environment)) => (owner, environment),
            (Caller::Key(principal), owner, environment) => (
                owner.unwrap_or_else(|| principal.owner_value().clone()),
                environment.unwrap_or_else(|| principal.environment().clone()),
            ),
            (_, owner, environment) => (
                owner.unwrap_or_else(Owner::admin),
                environment.unwrap_or_else(|| inner.format.default_environment().clone()),
            ),
        };
        let key = inner
            .format
            .generate(&environment)
            .map_err(|error| match error {
                GenerateError::UnknownEnvironment(environment) => {
                    WriteError::UnknownEnvironment(environment.to_string())
                }
                GenerateError::Generator(error) => WriteError::NoRandomness(error),
            })?;
        let draft = Draft {
            id: KeyId::generate().map_err(|error| WriteError::NoRandomness(error.into()))?,
            digest: key.digest,
            hint: key.hint,
            name: new.name,
            owner,
            environment,
            scopes: new.scopes,
            expiry: new.expiry,
            only_first,
        };
        let subjects = caller.subjects(None);
        let decide = move |rows: &_| authority::create(&caller, &draft, rows);
        let created = changed(inner.write(subjects, decide).await?)?;
        Ok(Created {
            key: created.value,
            secret: key.plain,
        })
    }

    pub(crate) async fn update_as(
        &self,
        caller: Caller,
        id: &KeyId,
        patch: KeyPatch,
    ) -> Result<Transacted, WriteError> {
        let subjects = caller.subjects(Some(id.clone()));
        let decide = move |rows: &_| authority::update(&caller, &patch, rows);
        self.inner.write(subjects, decide).await
    }

    pub(crate) async fn revoke_as(
        &self,
        caller: Caller,
        id: &KeyId,
        reason: Option<String>,
    ) -> Result<Transacted, WriteError> {
        let subjects = caller.subjects(Some(id.clone()));
        let decide = move |rows: &_| authority::revoke(&caller, reason.as_deref(), rows);
        self.inner.write(subjects, decide).await
    }

    /// The first of these that the application has not declared, if it declares any.
    pub(crate) fn undeclared<'a>(&self, scopes: &'a ScopeSet) -> Option<&'a Grant> {
        let catalogue = self.inner.catalogue.as_ref()?;
        scopes.iter().find(|grant| !catalogue.permits(grant))
    }
}

/// The key after a write that was not refused.
pub(crate) fn changed(transacted: Transacted) -> Result<Read<KeyRecord>, WriteError> {
    let now = transacted.now;
    match transacted.outcome {
        Outcome::Committed { record, .. } | Outcome::Kept { record, .. } => {
            Ok(Read { now, value: record })
        }
        Outcome::Refused(refusal) => Err(WriteError::Refused(refusal)),
    }
}

/// Reads on a task of its own, so that a client that hangs up never drops a store's future half
/// way, and waits for it as long as anybody waits for a write.
async fn patiently<T: Send + 'static>(
    read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let unavailable = |context| StoreError::new(StoreErrorKind::Unavailable, context);
    match timeout(PATIENCE, tokio::spawn(timeout(PATIENCE, read))).await {
        Ok(Ok(Ok(result))) => result,
        Ok(Err(panic)) => Err(unavailable("a read panicked").caused_by(panic)),
        Ok(Ok(Err(_))) | Err(_) => Err(unavailable("a read did not end in time")),
    }
}
