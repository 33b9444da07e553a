//! What the targets have in common: the rules of the crate in a second wording, written from its
//! documentation and without a look at its code, and keys that are the same in every run.

pub mod challenge;
pub mod ground;
pub mod key_rules;
pub mod narrower;
pub mod scope_rules;
