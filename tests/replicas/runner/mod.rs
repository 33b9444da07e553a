//! Everything that the short runs and the long one share.

pub(crate) mod bite;
pub(crate) mod chance;
pub(crate) mod client;
#[path = "../../postgres/cluster.rs"]
pub(crate) mod cluster;
pub(crate) mod episode;
pub(crate) mod fault;
pub(crate) mod figures;
pub(crate) mod hand;
pub(crate) mod healthy;
pub(crate) mod history;
pub(crate) mod judge;
pub(crate) mod key;
pub(crate) mod lives;
pub(crate) mod load;
pub(crate) mod proxy;
pub(crate) mod replica;
pub(crate) mod restored;
pub(crate) mod stage;
pub(crate) mod waiting;
pub(crate) mod world;
