//! The key itself: how one looks, how one is made, and how presented bytes are told to be none.
//!
//! A key reads `{prefix}_{environment}_{body}{checksum}`, as in
//! `acme_live_3Jd4…`. [`KeyFormat`] knows the prefix and the environments; it makes keys
//! ([`KeyFormat::generate`]) and recognizes them ([`KeyFormat::parse`]), and beside them what other
//! systems have issued, if that is accepted ([`ForeignFormat`]).
//!
//! The plaintext ([`PlainKey`]) and what a store may see of it ([`KeyDigest`], [`KeyHint`]) are
//! different types, so that one cannot be passed where the other is meant.
//!
//! # Why not argon2 or bcrypt?
//!
//! Slow hashes make up for what people choose as passwords. A key's body is 190 random bits, which
//! nobody guesses at any speed (NIST SP 800-63B asks for a slow hash of look-up secrets below 112 bits only). A slow
//! hash on every request would protect nothing and let anybody exhaust the server by sending keys.

mod algorithm;
mod alphabet;
mod checksum;
mod digest;
mod environment;
mod foreign;
mod format;
mod generate;
mod hasher;
mod hint;
mod id;
mod keyed;
mod parse;
mod plain;
mod secret;
mod shape;
#[cfg(test)]
mod tests;

pub use algorithm::{DigestAlgorithm, Pepper};
pub use digest::KeyDigest;
pub use environment::{Environment, InvalidEnvironment};
pub use foreign::{ForeignFormat, InvalidForeignFormat};
pub use format::{InvalidFormat, KeyFormat};
pub use generate::{GenerateError, GeneratedKey};
pub use hint::{InvalidHint, KeyHint, NotAHint};
pub use id::{KeyId, ParseKeyIdError};
pub use keyed::ChecksumSecret;
pub use parse::{NotAKey, ParsedKey};
pub use plain::PlainKey;
pub use secret::InvalidSecret;
pub use shape::{Alphabet, BodyLength};

#[allow(unused_imports)]
pub(crate) use hasher::DigestHasherBuilder;
