//! `POST /leaks/github`: the partner form of GitHub's secret scanning, which signs what it reports.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::HeaderMap;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;

use super::limit::Limit;
use super::report::{Report, answer};
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

const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

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
    pub(super) keys: ScanningKeys,
    /// Of reports that may be anybody's: a signature that is none costs its verification, too.
    pub(super) limit: Limit,
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

    /// Whether the headers have a good signature of this body.
    fn have_signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let only = |name| {
            let mut lines = headers.get_all(name).iter();
            let line = lines.next()?.to_str().ok()?;
            lines.next().is_none().then_some(line)
        };
        let signed = || {
            let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let key = *keys.get(only(IDENTIFIER)?)?;
            drop(keys);
            let signature = STANDARD.decode(only(SIGNATURE)?).ok()?;
            let signature = Signature::from_der(&signature).ok()?;
            key.verify(body, &signature).ok()
        };
        signed().is_some()
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
    let Some(github) = &report.intake()?.github else {
        return Err(Refused::not_found());
    };
    github.limit.count()?;
    let keys = github.keys.clone();
    let Report { desk, parts, body } = report;
    let body = body::within(LIMIT, &parts.headers, body).await?;
    body::must_be("application/json", &parts.headers)?;
    // Before anything in it is read.
    if !keys.have_signed(&parts.headers, &body) {
        let refused = Refused::problem(StatusCode::FORBIDDEN, "invalid_signature");
        return Err(refused.because("the body is not signed by a key that is known here"));
    }
    let mut errors = Errors::default();
    Query::of(parts.uri.query(), &[], &mut errors);
    let keyring = &desk.gate.keyring;
    let digests = digests(&body::parse(&body)?, keyring, &mut errors);
    errors.check()?;
    answer(keyring, digests).await
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
