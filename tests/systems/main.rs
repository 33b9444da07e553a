//! Applications of different kinds, each built on this crate as its authors would build it, and
//! used over HTTP from the first start to the end of its keys.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what it stands on"
)]

mod asking;

mod deployment_tool;
mod mesh;
mod organisation;
