//! Signatures of reports: first what can be seen of one, and then whether it is good.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderMap;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::room::Place;
use crate::admin::answer::Refused;

const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

/// The longest signature that is looked at, in base64: DER takes 72 bytes at the most.
const LONGEST: usize = 96;

/// How many signatures are verified at a time.
const AT_ONCE: usize = 2;

/// A signature by a key that is known, of a body that nobody has read yet.
pub(super) struct Claim {
    key: VerifyingKey,
    signature: Signature,
}

/// How long a body waits to be verified. Those that can wait take so long only if the processor has
/// little time for them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where signatures wait for their turn. It takes a millisecond or two to hash a large body, and
/// anybody may ask for it: so few do that at a time, beside the threads that serve all others. They
/// come in the order in which they have asked, and no more wait than there is room for bodies.
#[derive(Debug)]
pub(super) struct Verification(Arc<Semaphore>);

impl Claim {
    /// The one signature in the headers, if it has the form of one and names a known key.
    pub(super) fn in_headers(
        headers: &HeaderMap,
        key: impl FnOnce(&str) -> Option<VerifyingKey>,
    ) -> Option<Self> {
        let signature = only(headers, SIGNATURE).filter(|text| text.len() <= LONGEST)?;
        let key = key(only(headers, IDENTIFIER)?)?;
        let signature = STANDARD.decode(signature).ok()?;
        let signature = Signature::from_der(&signature).ok()?;
        Some(Self { key, signature })
    }

    fn is_of(&self, body: &[u8]) -> bool {
        self.key.verify(body, &self.signature).is_ok()
    }
}

impl Verification {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// The body, if it is what this signs.
    pub(super) async fn of(
        &self,
        claim: Claim,
        body: Vec<u8>,
        place: Place,
    ) -> Result<Option<Vec<u8>>, Refused> {
        let verify = move || {
            let signed = claim.is_of(&body).then_some(body);
            // What is signed is no longer anybody's, and what is not is gone.
            drop(place);
            signed
        };
        self.in_turn(verify).await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let turn = timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Refused::overloaded());
        };
        let work = spawn_blocking(move || {
            let done = work();
            // Not before: whoever asked may have left, and the work goes on.
            drop(turn);
            done
        });
        work.await.map_err(|_| Refused::unavailable())
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    lines.next().is_none().then_some(line)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn few_are_verified_at_a_time_and_those_that_have_left_count() {
        let verification = Arc::new(Verification::new());
        let running = Arc::new(AtomicUsize::new(0));
        let mut doors = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..AT_ONCE + 3 {
            let (open, door) = mpsc::channel::<()>();
            doors.push(open);
            let (verification, running) = (Arc::clone(&verification), Arc::clone(&running));
            waiting.push(tokio::spawn(async move {
                let work = move || {
                    let beside = running.fetch_add(1, Ordering::SeqCst);
                    let _ = door.recv();
                    running.fetch_sub(1, Ordering::SeqCst);
                    beside
                };
                verification.in_turn(work).await
            }));
        }
        while running.load(Ordering::SeqCst) < AT_ONCE {
            tokio::task::yield_now().await;
        }
        // Nobody asks for these any more, and they run all the same.
        for left in &waiting[..AT_ONCE] {
            left.abort();
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(running.load(Ordering::SeqCst), AT_ONCE);
        drop(doors);
        for one in waiting.drain(AT_ONCE..) {
            assert!(one.await.unwrap().unwrap() < AT_ONCE);
        }
    }
}
