//! A key to be made, and one just made.

use std::fmt;

use super::authority::Expiry;
use crate::allowed_ips::{AllowedIps, InvalidAllowedIps};
use crate::key::{Environment, KeyDigest, KeyHint, PlainKey};
use crate::resources::Resources;
use crate::scope::{InvalidRole, InvalidScope, RoleSet, ScopeSet};
use crate::store::{InvalidText, KeyName, KeyRecord, Metadata, Owner};

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
    pub(crate) roles: RoleSet,
    pub(crate) resources: Option<Resources>,
    pub(crate) allowed_ips: Option<AllowedIps>,
    pub(crate) expiry: Expiry,
    pub(crate) metadata: Metadata,
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
    /// One of the roles, or their number.
    #[error(transparent)]
    Roles(#[from] InvalidRole),
    /// One of the networks, or their number.
    #[error(transparent)]
    AllowedIps(#[from] InvalidAllowedIps),
}

impl NewKey {
    /// The first key of a new store.
    pub(super) fn first() -> Self {
        Self {
            name: KeyName::of_the_first_key(),
            owner: None,
            environment: None,
            scopes: ScopeSet::everything(),
            roles: RoleSet::empty(),
            resources: None,
            allowed_ips: None,
            expiry: Expiry::Never,
            metadata: Metadata::default(),
        }
    }

    /// A key with this name that grants nothing, belongs to `admin`, is of the environment that
    /// was declared first, and
    /// never expires. The other methods replace each of these.
    pub fn named(name: &str) -> Result<Self, InvalidNewKey> {
        Ok(Self {
            name: KeyName::parse(name).map_err(InvalidNewKey::Name)?,
            owner: None,
            environment: None,
            scopes: ScopeSet::empty(),
            roles: RoleSet::empty(),
            resources: None,
            allowed_ips: None,
            expiry: Expiry::AsCaller,
            metadata: Metadata::default(),
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

    /// What it grants besides: whatever the application says that these roles grant.
    pub fn roles(
        mut self,
        roles: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNewKey> {
        self.roles = RoleSet::parse(roles)?;
        Ok(self)
    }

    /// What it may be used on. Defaults to everything.
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }

    /// Where it may be used from, as addresses and networks. Defaults to anywhere.
    pub fn allowed_ips(
        mut self,
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNewKey> {
        self.allowed_ips = Some(AllowedIps::parse(networks)?);
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

    /// What the application keeps beside it. Defaults to an empty object.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// The secret of a key that was made elsewhere: by an older system, or by whoever is to use it.
/// Nobody here has ever seen it.
#[derive(Clone, Debug)]
pub struct MadeElsewhere {
    /// Its digest, by the algorithm of the keyring.
    pub digest: KeyDigest,
    /// Its beginning, by which people recognise it.
    pub hint: KeyHint,
}

/// What became of a key that was to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was made.
    Made(KeyRecord),
    /// Its owner has a key with this digest already, dead or alive, and that stays as it is.
    Exists(KeyRecord),
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
