//! A key that is asked for: the fields of a create, alone or as a line of an import.

use super::elsewhere;
use super::errors::Errors;
use super::fields::Fields;
use super::given::{self, Null};
use super::json::Json;
use super::restrictions::{allowed_ips, resources};
use crate::keyring::{Expiry, Keyring, MadeElsewhere, NewKey};
use crate::lifetime::parse_lifetime;
use crate::store::{KeyName, Owner};
use crate::timestamp::Timestamp;

const FIELDS: [&str; 10] = [
    "name",
    "scopes",
    "roles",
    "owner",
    "environment",
    EXPIRES_AT,
    EXPIRES_IN,
    "resources",
    "allowed_ips",
    "metadata",
];
const EXPIRES_AT: &str = "expires_at";
const EXPIRES_IN: &str = "expires_in";

/// A key that is asked for.
pub(super) struct Wanted {
    pub(super) new: NewKey,
    /// Where the secret is not made here.
    pub(super) elsewhere: Option<MadeElsewhere>,
    /// The field that the expiry came from.
    pub(super) expiry_field: &'static str,
}

impl Wanted {
    /// Reads the object `body`. Notes what is wrong with it; then the answer is `None`.
    pub(super) fn read(body: Json, keyring: &Keyring, errors: &mut Errors) -> Option<Self> {
        Self::of(body, keyring, errors, |_| {})
    }

    /// The same for a key whose secret is not made here.
    pub(super) fn read_imported(
        body: Json,
        keyring: &Keyring,
        errors: &mut Errors,
    ) -> Option<(NewKey, MadeElsewhere, &'static str)> {
        let wanted = Self::of(body, keyring, errors, elsewhere::require)?;
        Some((wanted.new, wanted.elsewhere?, wanted.expiry_field))
    }

    fn of(
        body: Json,
        keyring: &Keyring,
        errors: &mut Errors,
        require: impl FnOnce(&mut Fields<'_>),
    ) -> Option<Self> {
        let known: Vec<&str> = FIELDS.into_iter().chain(elsewhere::FIELDS).collect();
        let mut fields = Fields::of(body, &known, errors);
        fields.require("name");
        fields.require("scopes");
        require(&mut fields);
        let name = fields.text("name", KeyName::parse);
        let owner = fields.text("owner", Owner::parse);
        let environment = fields.text("environment", |name| given::environment(name, keyring));
        let scopes = given::scopes(&mut fields, keyring);
        let roles = given::roles(&mut fields, keyring).unwrap_or_default();
        let (expiry, expiry_field) = expiry(&mut fields);
        let resources = resources(&mut fields, keyring, Null::Wrong);
        let allowed_ips = allowed_ips(&mut fields, Null::Wrong);
        let metadata = given::metadata(&mut fields, Null::Wrong).unwrap_or_default();
        let elsewhere = elsewhere::elsewhere(&mut fields, keyring, environment.as_ref());
        let spelled = elsewhere.as_ref().map(|(_, environment)| environment);
        let new = NewKey {
            name: name?,
            owner,
            environment: environment.or_else(|| spelled.cloned()),
            scopes: scopes?,
            roles,
            resources: resources.and_then(Into::into),
            allowed_ips: allowed_ips.and_then(Into::into),
            expiry,
            metadata,
        };
        errors.is_empty().then(|| Self {
            new,
            elsewhere: elsewhere.map(|(elsewhere, _)| elsewhere),
            expiry_field,
        })
    }
}

fn expiry(fields: &mut Fields<'_>) -> (Expiry, &'static str) {
    let both = fields.has(EXPIRES_AT) && fields.has(EXPIRES_IN);
    let at = fields.text_or_null(EXPIRES_AT, Timestamp::parse);
    let within = fields.text(EXPIRES_IN, parse_lifetime);
    if both {
        fields.wrong(EXPIRES_IN, "cannot be given together with expires_at");
    }
    match (at, within) {
        (Some(Some(end)), _) => (Expiry::At(end), EXPIRES_AT),
        (Some(None), _) => (Expiry::Never, EXPIRES_AT),
        (None, Some(Some(lifetime))) => (Expiry::In(lifetime), EXPIRES_IN),
        (None, Some(None)) => (Expiry::Never, EXPIRES_IN),
        (None, None) => (Expiry::AsCaller, EXPIRES_AT),
    }
}
