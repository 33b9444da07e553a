//! `wrk` on the second core.

use std::process::Command;
use std::thread;
use std::time::Duration;

/// What `wrk` said.
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
}

/// Sends requests to that port for so long.
pub(crate) fn wrk(port: &str, credential: &str, seconds: u64) -> Result<Load, String> {
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c64"])
        .arg(format!("-d{seconds}s"))
        .args(["-H", &format!("Authorization: Bearer {credential}")])
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .map_err(|error| error.to_string())?;
    thread::sleep(Duration::from_millis(50));
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("not every answer was good:\n{text}"));
    }
    read(&text).ok_or_else(|| format!("wrk said something else than expected:\n{text}"))
}

fn read(text: &str) -> Option<Load> {
    let total = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = total.trim().split_once(" requests in ")?;
    let seconds = rest.split_once("s,")?.0;
    Some(Load {
        requests: requests.parse().ok()?,
        seconds: seconds.parse().ok()?,
    })
}

/// What `program` says with `-v` after `mark`; both programs here write that where errors go.
pub(crate) fn version(program: &str, mark: &str, install: &str) -> Result<String, String> {
    let output = Command::new(program).arg("-v").output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}; {install}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let version = said.split_once(mark).map_or("", |(_, after)| after);
    let version = version.split_ascii_whitespace().next();
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{program} -v said something else than expected: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let load = read(
            "Running 3s test @ http://127.0.0.1:4000/\n  1 threads and 64 connections\n  \
             478371 requests in 3.10s, 58.85MB read\nRequests/sec: 154313.25\n",
        );
        let load = load.unwrap();
        assert_eq!((load.requests, load.seconds), (478_371.0, 3.1));
        assert!(read("unable to connect").is_none());
    }
}
