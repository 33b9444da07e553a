//! `Idempotency-Key`: a request that came before is recognised, and makes no second key.
//!
//! What is remembered is a digest of the caller, the endpoint and the header, with a digest of what
//! was asked for and the id of what it made. The secret is not, so the answer to a repetition
//! carries another one, and the lost one is dead.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use http::header::HeaderMap;
use sha2::{Digest, Sha256};

use super::answer::Refused;
use crate::allowed_ips::AllowedIps;
use crate::key::Environment;
use crate::keyring::{Caller, Expiry, MadeElsewhere, NewKey, Recognisable};
use crate::resources::Resources;
use crate::store::{Owner, ReplayKey};

const HEADER: &str = "idempotency-key";

/// The longest value, in bytes.
const LONGEST: usize = 255;

/// What the header says: by which name the request is known when it comes again.
#[derive(Debug)]
pub(super) struct Again([u8; 32]);

impl Again {
    /// The header, if it is there. It is there once and has 1 to 255 visible ASCII characters.
    pub(super) fn asked_for(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let mut lines = headers.get_all(HEADER).iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        let value = line.as_bytes();
        let fits = (1..=LONGEST).contains(&value.len());
        if lines.next().is_some() || !fits || !value.iter().all(u8::is_ascii_graphic) {
            return Err(invalid());
        }
        Ok(Some(Self(Sha256::digest(value).into())))
    }

    /// Two callers may use the same value without ever meeting.
    pub(super) fn recognisable(
        &self,
        caller: &Caller,
        new: &NewKey,
        elsewhere: Option<&MadeElsewhere>,
    ) -> Recognisable {
        let by = Parts::of("portcullis idempotency key of POST /keys")
            .text(&caller.provenance().to_string())
            .option(caller.owner().map(Owner::as_str))
            .bytes(&self.0)
            .digest();
        Recognisable {
            by: ReplayKey(by),
            request: digest(new, elsewhere),
        }
    }
}

/// A digest of what is asked for, as it was understood: not of space, escapes, the order of
/// fields, or the order of scopes, roles, resources and addresses.
fn digest(new: &NewKey, elsewhere: Option<&MadeElsewhere>) -> [u8; 32] {
    // Every field by name, so that a new one cannot be overlooked here.
    let NewKey {
        name,
        owner,
        environment,
        scopes,
        roles,
        resources,
        allowed_ips,
        expiry,
        metadata,
    } = new;
    let resources = resources.as_ref().map(Resources::to_string);
    let allowed_ips = allowed_ips.as_ref().map(AllowedIps::to_string);
    let parts = Parts::of("portcullis request to POST /keys")
        .text(name.as_str())
        .option(owner.as_ref().map(Owner::as_str))
        .option(environment.as_ref().map(Environment::as_str))
        .text(metadata.as_str())
        .text(&roles.to_string())
        .option(resources.as_deref())
        .option(allowed_ips.as_deref())
        .option(elsewhere.map(|MadeElsewhere { hint, .. }| hint.as_str()))
        .bytes(elsewhere.map_or(&[], |MadeElsewhere { digest, .. }| digest.as_bytes()));
    let parts = match expiry {
        Expiry::AsCaller => parts.text("as caller"),
        Expiry::Never => parts.text("never"),
        Expiry::At(end) => parts.text("at").text(&end.to_string()),
        Expiry::In(after) => parts.text("in").bytes(&after.as_nanos().to_be_bytes()),
    };
    scopes
        .iter()
        .fold(parts, |parts, scope| parts.text(scope.as_ref()))
        .digest()
}

/// Parts of which no two lists have the same digest: each comes after its length.
struct Parts(Sha256);

impl Parts {
    fn of(what: &str) -> Self {
        Self(Sha256::new()).text(what)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    fn option(self, text: Option<&str>) -> Self {
        match text {
            None => self.text("absent"),
            Some(text) => self.text("present").text(text),
        }
    }

    fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The requests that are on their way here. On another replica the store puts them in a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<HashSet<ReplayKey>>>);

impl Running {
    /// Notes that this request is on its way, until what comes back is dropped; `None` if it is
    /// on its way already. Were it let through, the first answer would carry a dead secret.
    pub(super) fn begin(&self, request: ReplayKey) -> Option<OnItsWay> {
        self.change(|running| running.insert(request))
            .then(|| OnItsWay {
                running: self.clone(),
                request,
            })
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashSet<ReplayKey>) -> T) -> T {
        // No panic leaves a set half changed.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request that is on its way until this is dropped.
#[derive(Debug)]
pub(super) struct OnItsWay {
    running: Running,
    request: ReplayKey,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.running.change(|running| running.remove(&self.request));
    }
}

fn invalid() -> Refused {
    Refused::problem(StatusCode::BAD_REQUEST, "invalid_request")
        .because("Idempotency-Key must be given once, with 1 to 255 visible ASCII characters")
}

/// The same request is not answered yet.
pub(super) fn running() -> Refused {
    Refused::problem(StatusCode::CONFLICT, "idempotency_key_in_use")
        .because("a request with this Idempotency-Key is still running; try again in a moment")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_header_is_there_once_and_visible() {
        let (long, longer) = ("x".repeat(255), "x".repeat(256));
        let cases: [(&str, &[&str], Result<bool, ()>); 10] = [
            ("absent", &[], Ok(false)),
            ("one character", &["a"], Ok(true)),
            ("every kind", &["!\"az09~"], Ok(true)),
            ("255 characters", &[&long], Ok(true)),
            ("256 characters", &[&longer], Err(())),
            ("empty", &[""], Err(())),
            ("a space inside", &["a b"], Err(())),
            ("another script", &["\u{e9}"], Err(())),
            ("twice the same", &["a", "a"], Err(())),
            ("twice", &["a", "b"], Err(())),
        ];
        for (name, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            let result = Again::asked_for(&headers);
            let result = result.map(|again| again.is_some()).map_err(|_| ());
            assert_eq!(result, expected, "{name}");
        }
    }

    #[test]
    fn a_request_is_on_its_way_until_it_is_dropped() {
        let running = Running::default();
        let (one, other) = (ReplayKey([1; 32]), ReplayKey([2; 32]));
        let first = running.begin(one).unwrap();
        assert!(running.begin(one).is_none());
        assert!(running.begin(other).is_some());
        drop(first);
        assert!(running.begin(one).is_some());
    }

    #[test]
    fn no_two_lists_of_parts_are_the_same() {
        let digests = [
            Parts::of("a").digest(),
            Parts::of("a").text("").digest(),
            Parts::of("a").text("b").digest(),
            Parts::of("ab").digest(),
            Parts::of("a").option(None).digest(),
            Parts::of("a").option(Some("")).digest(),
            Parts::of("a").option(Some("absent")).digest(),
        ];
        let different: HashSet<_> = digests.iter().collect();
        assert_eq!(different.len(), digests.len());
    }
}
