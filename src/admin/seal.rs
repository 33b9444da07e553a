//! A position that is handed out and comes back: readable by anybody, makeable by the store's owner
//! only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::answer::Refused;

/// The first byte of a position. Another layout gets another one.
const VERSION: u8 = 1;

/// The whole HMAC-SHA-256.
const SEAL_BYTES: usize = 32;

/// No cursor is longer, in characters.
const LONGEST: usize = 128;

/// What a position is about, and the key that seals it.
pub(super) struct Seal(Hmac<Sha256>);

/// A cursor that is well-formed; whether it is genuine shows when it is opened.
pub(super) struct Sealed {
    /// `VERSION | position`.
    position: Vec<u8>,
    seal: [u8; SEAL_BYTES],
}

impl Seal {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub(super) fn new(key: &[u8; 32], what: &str) -> Self {
        let mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self(mac).and(what.as_bytes()).and(b"\0")
    }

    /// Binds it to this, too. Each part has to have a fixed length, or its length before it.
    pub(super) fn and(mut self, part: &[u8]) -> Self {
        self.0.update(part);
        self
    }

    /// Writes the cursor that leads past this position.
    pub(super) fn close(self, position: impl IntoIterator<Item = u8>) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(position);
        let seal = self.and(&bytes).0.finalize().into_bytes();
        bytes.extend(seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position, provided that it was sealed by the same.
    pub(super) fn open(self, sealed: Sealed) -> Option<Vec<u8>> {
        let Sealed { mut position, seal } = sealed;
        self.and(&position).0.verify_slice(&seal).ok()?;
        position.remove(0);
        Some(position)
    }
}

impl Sealed {
    /// Takes a cursor apart without believing it, and without asking the store.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut position = URL_SAFE_NO_PAD.decode(text).ok()?;
        let seal = *position.last_chunk()?;
        position.truncate(position.len() - SEAL_BYTES);
        (position.first() == Some(&VERSION)).then_some(Self { position, seal })
    }
}

/// A cursor that was changed, badly copied, or made for another list.
pub(super) fn invalid() -> Refused {
    Refused::problem(http::StatusCode::BAD_REQUEST, "invalid_cursor")
        .because("the cursor is not one that this list has given out; begin again without it")
}
