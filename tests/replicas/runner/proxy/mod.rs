//! A TCP proxy between one replica and Postgres, which breaks the network on command.
//!
//! It carries whole messages and speaks none of its own. Connections are asked for without TLS, so
//! that it can read them.

mod carry;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Every connection, also a new one, is closed as a process closes it that ends.
    Close,
    /// And as by a machine that knows nothing of the connection.
    Reset,
    /// Silence to Postgres, from it, or both ways. As in a network that was parted and is joined
    /// again, what was sent meanwhile arrives late.
    Hold {
        up: bool,
        down: bool,
    },
    /// Silence both ways; what was sent meanwhile is gone, and its connection is reset afterwards.
    Lose,
    /// Everything arrives so much later.
    Delay(Duration),
    /// Transactions are committed, and the word of it does not arrive: the connection is reset, or
    /// silent from then on.
    LoseCommits {
        reset: bool,
    },
}

impl Mode {
    /// Whether Postgres is left waiting.
    pub(crate) fn is_silent(self) -> bool {
        matches!(self, Self::Hold { .. } | Self::Lose)
    }

    /// Whether what is sent may be gone for good.
    fn loses(self) -> bool {
        matches!(self, Self::Lose | Self::LoseCommits { .. })
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    tally: Arc<Tally>,
    accepting: JoinHandle<()>,
}

/// What has gone through.
#[derive(Default)]
pub(crate) struct Tally {
    statements: AtomicU64,
    bytes: AtomicU64,
    commits_lost: AtomicU64,
}

/// A reading of the tally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) statements: u64,
    /// Both ways.
    pub(crate) bytes: u64,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, current) = watch::channel(Mode::Pass);
        let tally = Arc::new(Tally::default());
        let accepting = tokio::spawn({
            let tally = Arc::clone(&tally);
            async move {
                // They end with it.
                let mut connections = JoinSet::new();
                loop {
                    let Ok((client, _)) = listener.accept().await else {
                        continue;
                    };
                    while connections.try_join_next().is_some() {}
                    let carried = carry::carry(client, target, current.clone(), Arc::clone(&tally));
                    connections.spawn(carried);
                }
            }
        });
        Self {
            address,
            mode,
            tally,
            accepting,
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            statements: self.tally.statements.load(Ordering::Relaxed),
            bytes: self.tally.bytes.load(Ordering::Relaxed),
        }
    }

    /// How many replies to a COMMIT were kept back so far.
    pub(crate) fn commits_lost(&self) -> u64 {
        self.tally.commits_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
