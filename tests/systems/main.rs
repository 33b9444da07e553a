//! Whole systems, each as an application would build it, from outside.
//!
//! Each file is one application, and what its operators and users rely on.

mod edge_keys;
mod storage_engine;
