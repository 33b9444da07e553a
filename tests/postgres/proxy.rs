//! A link that can be made to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// What comes in goes out.
    Pass,
    /// Nothing comes out, and nobody is told. What came in meanwhile goes out later.
    Silent,
    /// Nothing comes out, ever: connections of this time are lost, and nobody is told.
    Swallow,
    /// Connections are closed, and new ones as soon as they are open.
    Cut,
}

/// A port of this machine that leads to another one.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    /// Connections that the client has not closed.
    open: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            mode: watch::Sender::new(Mode::Pass),
            open: Arc::default(),
        };
        let (mode, open) = (proxy.mode.subscribe(), Arc::clone(&proxy.open));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connection = connect(client, port, mode.clone(), Open::count(&open));
                tokio::spawn(connection);
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    pub(crate) fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    pub(crate) fn swallow(&self) {
        self.mode.send_replace(Mode::Swallow);
    }

    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Counts as open until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connect(client: TcpStream, port: u16, mut mode: watch::Receiver<Mode>, open: Open) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, mode.clone(), || drop(open));
    let back = pump(from_server, to_client, mode.clone(), || ());
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

/// Reads all the time, so as to notice a hang-up, and writes when it may.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    hung_up: impl FnOnce(),
) {
    let mut held = Vec::new();
    let mut is_lost = false;
    loop {
        tokio::select! {
            read = from.read_buf(&mut held) => if !matches!(read, Ok(1..)) {
                break;
            } else if *mode.borrow() == Mode::Swallow {
                is_lost = true;
            },
            () = may_pass(&mut mode), if !held.is_empty() && !is_lost => {
                if to.write_all(&held).await.is_err() {
                    break;
                }
                held.clear();
            }
        }
    }
    hung_up();
    may_pass(&mut mode).await;
    drop(to.write_all(&held).await);
    drop(to.shutdown().await);
}

async fn may_pass(mode: &mut watch::Receiver<Mode>) {
    // Without a proxy there is nobody left who could hold anything up.
    drop(mode.wait_for(|mode| *mode == Mode::Pass).await);
}
