//! Applications of different kinds, each built on this crate as its authors would build it, and
//! used over HTTP from the first start to the end of its keys.

mod asking;
#[path = "../canary/mod.rs"]
mod canary;
mod deployment_tool;
mod edge_keys;
mod mesh;
mod organisation;
mod storage_engine;
