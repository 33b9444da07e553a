//! What portcullis costs, beside what people use instead. See `README.md`.

pub mod budget;
pub mod by_rule;
pub mod call;
pub mod cases;
pub mod figures;
pub mod floor;
pub mod guard;
pub mod harness;
pub mod instructions;
pub mod keys;
pub mod lock;
pub mod machine;
pub mod page;
pub mod peers;
pub mod provenance;
pub mod record;
pub mod svg;
pub mod trace;
pub mod world;
