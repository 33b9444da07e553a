//! What is logged, for tests to read.

use super::canary;

/// Listens to everything, in all tests, and searches it for secrets.
pub(super) fn listen() {
    canary::take_log();
}

/// The lines that were logged on this thread since the last time and hold this.
pub(super) fn lines(with: &str) -> Vec<String> {
    let all = canary::take_log();
    let lines = all.lines().filter(|line| line.contains(with));
    lines.map(str::to_owned).collect()
}
