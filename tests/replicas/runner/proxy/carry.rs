//! One connection through the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::wire::{Message, Messages};
use super::{Mode, Tally};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// What happens to one message.
enum Fate {
    Goes,
    IsLost,
    Ends(End),
}

/// Carries both ways until either side closes or the mode says so.
pub(super) async fn carry(
    mut client: TcpStream,
    target: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    tally: Arc<Tally>,
) {
    let _ = client.set_nodelay(true);
    // A network that is silent keeps the first packet back as well.
    let reached = mode.wait_for(|mode| !matches!(mode, Mode::Hold { up: true, .. }));
    if reached.await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = server.set_nodelay(true);
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        // Once something was lost the rest makes no sense any more.
        let void = AtomicBool::new(false);
        let half = |direction| Half {
            direction,
            mode: mode.clone(),
            void: &void,
            tally: &tally,
        };
        let (up, down) = (half(Direction::Up), half(Direction::Down));
        tokio::select! {
            end = cut(mode.clone(), &void) => end,
            end = up.run(from_client, to_server, Messages::of_a_client()) => end,
            end = down.run(from_server, to_client, Messages::of_the_server()) => end,
        }
    };
    match end {
        End::Closed => {
            let _ = client.shutdown().await;
            let _ = server.shutdown().await;
        }
        End::Reset => {
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        }
    }
}

/// Until the mode is one that this connection does not outlive.
async fn cut(mut mode: watch::Receiver<Mode>, void: &AtomicBool) -> End {
    loop {
        match *mode.borrow_and_update() {
            Mode::Close => return End::Closed,
            Mode::Reset => return End::Reset,
            // The first packet that arrives again is answered by a reset.
            mode if void.load(Ordering::Relaxed) && !mode.loses() => return End::Reset,
            _ => {}
        }
        if mode.changed().await.is_err() {
            return End::Reset;
        }
    }
}

struct Half<'a> {
    direction: Direction,
    mode: watch::Receiver<Mode>,
    void: &'a AtomicBool,
    tally: &'a Tally,
}

impl Half<'_> {
    async fn run(
        mut self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        mut messages: Messages,
    ) -> End {
        let mut piece = [0; 16 * 1024];
        loop {
            let read = from.read(&mut piece).await;
            let Ok(length @ 1..) = read else {
                // The end of a connection is a packet like others.
                return match self.passage(None).await {
                    Fate::Goes if read.is_ok() => End::Closed,
                    Fate::Ends(end) => end,
                    Fate::Goes => End::Reset,
                    Fate::IsLost => self.over().await,
                };
            };
            messages.arrived(&piece[..length]);
            while let Some(message) = messages.next() {
                match self.passage(Some(&message)).await {
                    Fate::Goes => {}
                    Fate::IsLost => continue,
                    Fate::Ends(end) => return end,
                }
                if to.write_all(&message.bytes).await.is_err() {
                    return End::Reset;
                }
                self.count(&message);
            }
        }
    }

    /// What becomes of the next message, as soon as that is known.
    async fn passage(&mut self, message: Option<&Message>) -> Fate {
        loop {
            let mode = *self.mode.borrow_and_update();
            if self.void.load(Ordering::Relaxed) {
                return if mode.loses() {
                    Fate::IsLost
                } else {
                    Fate::Ends(End::Reset)
                };
            }
            match mode {
                Mode::Hold { up: true, .. } if self.direction == Direction::Up => {}
                Mode::Hold { down: true, .. } if self.direction == Direction::Down => {}
                Mode::Lose => {
                    self.void.store(true, Ordering::Relaxed);
                    return Fate::IsLost;
                }
                Mode::Delay(time) => {
                    sleep(time).await;
                    return Fate::Goes;
                }
                Mode::LoseCommits { reset }
                    if self.direction == Direction::Down
                        && message.is_some_and(Message::says_committed) =>
                {
                    self.tally.commits_lost.fetch_add(1, Ordering::Relaxed);
                    if reset {
                        return Fate::Ends(End::Reset);
                    }
                    self.void.store(true, Ordering::Relaxed);
                    return Fate::IsLost;
                }
                _ => return Fate::Goes,
            }
            if self.mode.changed().await.is_err() {
                return Fate::Ends(End::Reset);
            }
        }
    }

    /// Until packets arrive again, and tell the other side that this connection is no more.
    async fn over(&mut self) -> End {
        let _ = self.mode.wait_for(|mode| !mode.loses()).await;
        End::Reset
    }

    fn count(&self, message: &Message) {
        let bytes = message.bytes.len() as u64;
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.direction == Direction::Up && message.is_a_statement() {
            self.tally.statements.fetch_add(1, Ordering::Relaxed);
        }
    }
}
