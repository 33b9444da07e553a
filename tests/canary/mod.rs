//! Every secret that a test uses is a canary: nowhere but where it is handed out may it be seen.
//!
//! What the tests stand on calls [`listen`] where it makes a keyring, and from then on every line
//! that anything in this process logs, dependencies at TRACE and spans included, is searched as it
//! comes; [`listen_to_the_crate_alone`] leaves the dependencies out. It says [`know`] of each secret that it hands out, and shows every [`answer`], [`error`]
//! and [`Folder`] with a database. A finding in the log ends the process, whichever thread it was
//! on: tasks of which nobody hears leak as well as others.

#![allow(
    dead_code,
    reason = "several test binaries share this file, and each uses a part of it"
)]

mod search;
mod written;

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::exit;
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};

use http::Method;
use http::response::Parts;
use tempfile::TempDir;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

pub(crate) use search::Search;

static SEARCH: LazyLock<Mutex<Search>> = LazyLock::new(Mutex::default);

thread_local! {
    /// What was logged on this thread, once that was asked for. Most tests have one thread.
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

fn searching() -> MutexGuard<'static, Search> {
    SEARCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Searches everything that is logged in this process from here on.
pub(crate) fn listen() {
    listen_to("trace");
}

/// The same of what the crate itself logs. For a hundred thousand requests over sockets, of which
/// hyper and h2 have so much to say that it would take many times as long.
pub(crate) fn listen_to_the_crate_alone() {
    listen_to("off,portcullis=trace");
}

fn listen_to(whom: &'static str) {
    // One subscriber for all threads. With one for each test, a place in the code that another
    // thread comes by at the wrong moment may be silenced for all.
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(whom))
            .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
            .with_ansi(false)
            .with_writer(|| Pen)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
    });
}

/// Listens, and keeps what is logged on this thread, for the test to read. What it has kept so far.
pub(crate) fn take_log() -> String {
    listen();
    let kept = KEPT.replace(Some(Vec::new())).unwrap_or_default();
    String::from_utf8(kept).expect("a log in UTF-8")
}

struct Pen;

impl io::Write for Pen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let found = searching().find(line);
        if let Some(found) = found {
            give_up(&format!(
                "{found} is in the log: {}",
                String::from_utf8_lossy(line)
            ));
        }
        KEPT.with_borrow_mut(|kept| {
            if let Some(kept) = kept {
                kept.extend(line);
            }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A panic would end a task, or be caught by what is tested.
fn give_up(found: &str) -> ! {
    // Not by a macro, whose output the test harness would keep to itself.
    let _ = writeln!(io::stderr().lock(), "\n*** LEAKED: {found} ***\n");
    exit(101)
}

/// Looks for this secret, too, from here on.
pub(crate) fn know(secret: &str) {
    let found = searching().know(secret);
    if let Some(found) = found {
        give_up(&format!("{found} was in the log or in an answer"));
    }
}

/// That no secret is in a text.
#[track_caller]
pub(crate) fn absent(what: &str, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    let found = searching().find(text);
    if let Some(found) = found {
        panic!("{found} is in {what}: {}", String::from_utf8_lossy(text));
    }
}

/// The same of a database, in which digests are to be found by.
#[track_caller]
pub(crate) fn absent_from_a_database(what: &str, bytes: impl AsRef<[u8]>) {
    let found = searching().keys_in(bytes.as_ref());
    assert_eq!(found, None, "{what}");
}

/// The same of what another process has logged, line by line. What was found, and where.
pub(crate) fn in_a_log(lines: &[u8]) -> Result<(), String> {
    let mut search = searching();
    for line in lines.split(|&byte| byte == b'\n') {
        if let Some(found) = search.find(line) {
            let line = String::from_utf8_lossy(line);
            return Err(format!("{found} is in the log: {line}"));
        }
    }
    Ok(())
}

/// The same as it comes, of a process that outlives many tests: a finding ends them all.
pub(crate) fn nothing_in_a_log(line: &str) {
    if let Err(found) = in_a_log(line.as_bytes()) {
        give_up(&found);
    }
}

/// An answer that hands out nothing.
#[track_caller]
pub(crate) fn answer<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    headers: impl IntoIterator<Item = (N, V)>,
    body: impl AsRef<[u8]>,
) {
    for (name, value) in headers {
        let name = String::from_utf8_lossy(name.as_ref()).into_owned();
        absent(&format!("the header {name}"), value);
    }
    absent("a body", body);
}

/// An answer of the admin API: what makes something may hand out a secret.
#[track_caller]
pub(crate) fn answer_to(asked: &Method, parts: &Parts, body: &[u8]) {
    if asked == Method::POST && parts.status.is_success() {
        handed_out(&parts.headers, body);
    } else {
        answer(&parts.headers, body);
    }
}

/// An answer with a new secret, which is to be in the place for it and in no other.
#[track_caller]
pub(crate) fn handed_out<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    headers: impl IntoIterator<Item = (N, V)>,
    body: &[u8],
) {
    let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(secret) = parsed["secret"].as_str() else {
        return answer(headers, body);
    };
    know(secret);
    let place = format!(r#""secret":"{secret}""#);
    let rest = String::from_utf8_lossy(body).replacen(&place, "", 1);
    answer(headers, rest);
}

/// An error as it is shown and debugged, and all that is underneath.
#[track_caller]
pub(crate) fn error(error: &(dyn Error + 'static)) {
    let mut cause = Some(error);
    while let Some(error) = cause {
        absent("an error", format!("{error} {error:?} {error:#?}"));
        cause = error.source();
    }
}

/// A folder for a database. When it goes, no secret is in any of its files.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        listen();
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    #[track_caller]
    pub(crate) fn search(&self) {
        for entry in std::fs::read_dir(self.path()).expect("its files") {
            let path = entry.expect("a file").path();
            // Files come and go while a database is open.
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            absent_from_a_database(&path.display().to_string(), bytes);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.search();
        }
    }
}
