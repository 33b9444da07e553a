//! `POST /leaks/github`: the partner form of GitHub's secret scanning, which signs what it reports.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use p256::ecdsa::VerifyingKey;
use p256::pkcs8::DecodePublicKey as _;

use super::limits::Limits;
use super::report::{Report, answer};
use super::room::Room;
use super::signature::{Claim, Verification};
use crate::admin::answer::{Answer, Refused};
use crate::admin::body;
use crate::admin::errors::{Errors, below};
use crate::admin::json::Json;
use crate::admin::query::Query;
use crate::excerpt::excerpt;
use crate::key::KeyDigest;
use crate::keyring::Keyring;

/// The most bytes of a report, and the most secrets in it.
const LIMIT: usize = 1 << 20;
const MOST: usize = 1_000;

/// The most bytes of reports that nobody has looked at yet: anybody can send them, with a signature
/// that has the form of one.
const ROOM: usize = 32 * LIMIT;

/// How long a report may take to come. Who sends them has good lines.
const PATIENCE: Duration = Duration::from_secs(10);

/// The public keys by which reports are signed: those that
/// `https://api.github.com/meta/public_keys/secret_scanning` gives out. Clones are the same keys.
///
/// GitHub replaces its keys now and then. Nothing here fetches them: whoever runs the service asks
/// for them, at the start and each day, say, and hands them over by [`replace`](Self::replace).
///
/// ```
/// use portcullis::admin::ScanningKeys;
///
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMKBCTNIcKUSDii11ySs3526iDZ8A
/// iTo7Tu6KPAqv7D7gS2XpJFbZiItSs3m9+9Ue6GnvHw/GW2ZZaVtszggXIw==
/// -----END PUBLIC KEY-----";
/// let keys = ScanningKeys::new([("90a421169f0a406205f1563a953312f0be898d3c", pem)])?;
/// # let _ = keys;
/// # Ok::<(), portcullis::admin::InvalidScanningKeys>(())
/// ```
#[derive(Clone)]
pub struct ScanningKeys(Arc<RwLock<BTreeMap<String, VerifyingKey>>>);

/// Why keys cannot be those that reports are signed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key {0:?} is not a public key on the curve P-256 in PEM (`BEGIN PUBLIC KEY`)")]
pub struct InvalidScanningKeys(pub String);

/// What it takes to take these reports.
#[derive(Debug)]
pub(super) struct Github {
    keys: ScanningKeys,
    limits: Limits,
    room: Room,
    verification: Verification,
}

impl Github {
    pub(super) fn new(keys: ScanningKeys, limits: Limits) -> Self {
        Self {
            keys,
            limits,
            room: Room::of(ROOM),
            verification: Verification::new(),
        }
    }
}

impl ScanningKeys {
    /// These keys: of each the identifier and, in PEM, the key.
    pub fn new(
        keys: impl IntoIterator<Item = (impl Into<String>, impl AsRef<str>)>,
    ) -> Result<Self, InvalidScanningKeys> {
        Ok(Self(Arc::new(RwLock::new(read(keys)?))))
    }

    /// These keys, and no longer those before. Where one of them is wrong, all stays as it was.
    pub fn replace(
        &self,
        keys: impl IntoIterator<Item = (impl Into<String>, impl AsRef<str>)>,
    ) -> Result<(), InvalidScanningKeys> {
        let keys = read(keys)?;
        // No panic leaves a map half replaced.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn known(&self, identifier: &str) -> Option<VerifyingKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(identifier).copied()
    }
}

fn read(
    keys: impl IntoIterator<Item = (impl Into<String>, impl AsRef<str>)>,
) -> Result<BTreeMap<String, VerifyingKey>, InvalidScanningKeys> {
    let read = |(identifier, pem): (_, _)| {
        let identifier: String = Into::into(identifier);
        match VerifyingKey::from_public_key_pem(AsRef::as_ref(&pem)) {
            Ok(key) => Ok((identifier, key)),
            Err(_) => Err(InvalidScanningKeys(excerpt(&identifier))),
        }
    };
    keys.into_iter().map(read).collect()
}

impl fmt::Debug for ScanningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("ScanningKeys").field(&keys.keys()).finish()
    }
}

pub(super) async fn report(report: Report) -> Answer {
    let Report { desk, parts, body } = report;
    let github = desk
        .leaks
        .as_deref()
        .and_then(|intake| intake.github.as_ref());
    // There is no such route where it is not.
    let github = github.ok_or_else(Refused::not_found)?;
    // What is seen at once costs next to nothing, and is not counted.
    let signed = Claim::in_headers(&parts.headers, |name| github.keys.known(name));
    let claim = signed.ok_or_else(not_signed)?;
    // Where the application has said how to tell, and not by the peer as it is: behind a proxy that
    // nobody has declared the honest sender has the address of everybody.
    if let Some(address) = desk.client_address(&parts) {
        github.limits.count_for(address)?;
    }
    let mut place = github.room.place()?;
    let came = |bytes| place.grow(bytes);
    let body = body::counted(LIMIT, PATIENCE, &parts.headers, body, came).await?;
    body::must_be("application/json", &parts.headers)?;
    // Before anything in it is read.
    let body = github.verification.of(claim, body, place).await?;
    let body = body.ok_or_else(not_signed)?;
    let mut errors = Errors::default();
    Query::of(parts.uri.query(), &[], &mut errors);
    let keyring = &desk.gate.keyring;
    let digests = digests(&body::parse(&body)?, keyring, &mut errors);
    errors.check()?;
    // What is signed may be a report to somebody else that is sent here once more: it has no keys
    // of ours in it, and costs nothing.
    if digests.iter().any(Option::is_some) {
        github.limits.count()?;
    }
    answer(keyring, digests).await
}

fn not_signed() -> Refused {
    let refused = Refused::problem(StatusCode::FORBIDDEN, "invalid_signature");
    refused.because("the body is not signed by a key that is known here")
}

/// Of each secret in it the digest, where it could be a key. What else is said of them is left
/// unread: it grows with time.
fn digests(body: &Json, keyring: &Keyring, errors: &mut Errors) -> Vec<Option<KeyDigest>> {
    let Json::Array(items) = body else {
        errors.at(
            "#",
            format_args!("must be an array, and is {}", body.kind()),
        );
        return Vec::new();
    };
    if items.len() > MOST {
        errors.at("#", format_args!("must have at most {MOST} items"));
        return Vec::new();
    }
    let mut digests = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let token = match item {
            Json::Object(members) => members.iter().find(|(name, _)| name == "token"),
            _ => None,
        };
        match token {
            Some((_, Json::Text(secret))) => digests.push(keyring.digest_of(secret)),
            _ => errors.at(
                below("#", &at.to_string()),
                "must be an object with a string `token`",
            ),
        }
    }
    digests
}
