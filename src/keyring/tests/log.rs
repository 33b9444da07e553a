//! What is logged, for tests to read.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use tracing::Level;

thread_local! {
    /// What this test has logged: each has a thread of its own, and all of its tasks are on it.
    static PAPER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        PAPER.with_borrow_mut(|paper| paper.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens to everything, in all tests. Not in one of them alone: what a thread without a listener
/// logs first may be lost to all others, too.
pub(super) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .without_time()
            .with_writer(|| Pen)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The lines that were logged on this thread since the last time and hold this.
pub(super) fn lines(with: &str) -> Vec<String> {
    let all = String::from_utf8(PAPER.take()).unwrap();
    let lines = all.lines().filter(|line| line.contains(with));
    lines.map(str::to_owned).collect()
}
