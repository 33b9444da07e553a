//! What the gate promises, on real sockets, over HTTP/1.1 and HTTP/2.
//!
//! The clients write bytes, so that nothing repairs what is sent, and neither they nor the reader
//! of challenges share anything with the crate. [`message`], [`client`] with [`http1`] and [`http2`],
//! [`hpack`], [`challenge`], [`refusal`], [`table`] and [`ground`] are what the tests stand on; each
//! other file is one way to attack.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what it stands on"
)]

#[path = "../canary/mod.rs"]
mod canary;
mod challenge;
mod client;
mod ground;
mod hpack;
mod http1;
mod http2;
mod message;
mod refusal;
mod table;

mod bypass_headers;
mod credential_bytes;
mod every_row;
mod every_setting;
mod long_credentials;
mod many_callers;
mod near_misses;
mod of_http2;
mod other_headers;
mod preflight;
mod repeated_lines;
mod spellings;
