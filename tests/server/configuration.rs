//! A configuration that cannot be is refused in one line that helps, without what is secret.

use std::net::TcpListener;

use crate::process::Setup;

struct Wrong {
    set: &'static [(&'static str, &'static str)],
    /// All of this is in the line.
    said: &'static [&'static str],
    /// None of this is anywhere.
    unsaid: &'static [&'static str],
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<Wrong> {
    let wrong = |set, said, unsaid| Wrong { set, said, unsaid };
    vec![
        wrong(
            &[("PORTCULLIS_ADDR", "nonsense")],
            &["PORTCULLIS_ADDR", "nonsense", "127.0.0.1:3000"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_ADDR", "127.0.0.1:99999")],
            &["PORTCULLIS_ADDR", "127.0.0.1:99999"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_ADDR", "")],
            &["PORTCULLIS_ADDR", "127.0.0.1:3000"],
            &[],
        ),
        wrong(
            &[("DATABASE_URL", "postgres://joe:hunter2@db.invalid/keys")],
            &["DATABASE_URL", "look", "postgres://USER:PASSWORD@HOST/"],
            &["hunter2", "joe", "db.invalid"],
        ),
        // Where nobody listens.
        wrong(
            &[("DATABASE_URL", "postgresql://joe:hunter2@127.0.0.1:1/keys")],
            &["DATABASE_URL", "refused", "postgres://USER:PASSWORD@HOST/"],
            &["hunter2", "joe"],
        ),
        wrong(
            &[("DATABASE_URL", "postgres://joe:hunter2@127.0.0.1:port/keys")],
            &[
                "DATABASE_URL",
                "cannot be read",
                "postgres://USER:PASSWORD@HOST/",
            ],
            &["hunter2", "joe"],
        ),
        wrong(
            &[("DATABASE_URL", "postgresql:hunter2")],
            &["DATABASE_URL", "postgres://USER:PASSWORD@HOST/"],
            &["hunter2"],
        ),
        wrong(
            &[("DATABASE_URL", "mysql://joe:hunter2@db.example/keys")],
            &[
                "DATABASE_URL",
                "mysql",
                "postgres://",
                "sqlite://",
                "memory:",
            ],
            &["hunter2", "joe", "db.example"],
        ),
        wrong(
            &[("DATABASE_URL", "hunter2")],
            &["DATABASE_URL", "sqlite://", "memory:"],
            &["hunter2"],
        ),
        // Someone forgot the scheme.
        wrong(
            &[("DATABASE_URL", "hunter2:x@db.example/keys")],
            &["DATABASE_URL", "sqlite://", "memory:"],
            &["hunter2", "db.example"],
        ),
        wrong(
            &[("DATABASE_URL", "")],
            &["DATABASE_URL", "sqlite://", "memory:"],
            &[],
        ),
        wrong(
            &[("DATABASE_URL", "memory:keys.db")],
            &["DATABASE_URL", "memory:"],
            &[],
        ),
        wrong(
            &[("DATABASE_URL", "sqlite::memory:")],
            &["DATABASE_URL", "memory:"],
            &[],
        ),
        wrong(
            &[("DATABASE_URL", "sqlite://no/such/folder/keys.db")],
            &["DATABASE_URL", "unable to open", "folder"],
            &[],
        ),
        wrong(
            &[("DATABASE_URL", "sqlite://keys.db?password=hunter2")],
            &["DATABASE_URL"],
            &["hunter2"],
        ),
        wrong(
            &[("PORTCULLIS_ADMIN_TOKEN", "hunter2")],
            &["PORTCULLIS_ADMIN_TOKEN", "7 characters", "at least 32"],
            &["hunter2"],
        ),
        wrong(
            &[("PORTCULLIS_ADMIN_TOKEN", "")],
            &["PORTCULLIS_ADMIN_TOKEN", "at least 32"],
            &[],
        ),
        wrong(
            &[(
                "PORTCULLIS_ADMIN_TOKEN",
                "hunter2 with spaces in it and long enough",
            )],
            &["PORTCULLIS_ADMIN_TOKEN", "A-Za-z0-9"],
            &["hunter2", "spaces"],
        ),
        wrong(
            &[("PORTCULLIS_MAX_STALENESS_MS", "5s")],
            &["PORTCULLIS_MAX_STALENESS_MS", "5s", "milliseconds"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_POLL_MS", "-1")],
            &["PORTCULLIS_POLL_MS", "-1", "milliseconds"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_LOOKUP_DEADLINE_MS", "1.5")],
            &["PORTCULLIS_LOOKUP_DEADLINE_MS", "1.5", "milliseconds"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_MAX_STALENESS_MS", "0")],
            &["PORTCULLIS_MAX_STALENESS_MS", "at least 4ms"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_POLL_MS", "0")],
            &["PORTCULLIS_POLL_MS", "at least 1ms"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_LOOKUP_DEADLINE_MS", "0")],
            &["PORTCULLIS_LOOKUP_DEADLINE_MS", "at least 1ms"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_POLL_MS", "1251")],
            &["PORTCULLIS_POLL_MS", "1.251s", "a quarter", "5s"],
            &[],
        ),
        wrong(
            &[
                ("PORTCULLIS_POLL_MS", "300"),
                ("PORTCULLIS_MAX_STALENESS_MS", "1000"),
            ],
            &["PORTCULLIS_POLL_MS", "300ms", "a quarter", "1s"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_LOOKUP_DEADLINE_MS", "5000")],
            &["PORTCULLIS_LOOKUP_DEADLINE_MS", "less than", "5s"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_OUTAGE_GRACE_MS", "one hour")],
            &["PORTCULLIS_OUTAGE_GRACE_MS", "one hour", "milliseconds"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_OUTAGE_GRACE_MS", "0")],
            &["PORTCULLIS_OUTAGE_GRACE_MS", "at least 1ms"],
            &[],
        ),
        wrong(
            &[("PORTCULLIS_OUTAGE_GRACE_MS", "86400001")],
            &["PORTCULLIS_OUTAGE_GRACE_MS", "86400"],
            &[],
        ),
    ]
}

#[tokio::test]
async fn each_is_named_with_what_would_be_right() {
    for wrong in table() {
        let set = wrong.set;
        let setup = set
            .iter()
            .fold(Setup::memory(), |setup, (name, value)| {
                setup.with(name, value)
            })
            .with("RUST_LOG", "trace");
        let ended = setup.ends().await;
        assert_eq!(ended.status.code(), Some(1), "{set:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{set:?}");
        let lines: Vec<_> = ended.stderr.lines().collect();
        let ours: Vec<_> = lines.iter().filter(|l| l.starts_with("server: ")).collect();
        assert_eq!(ours.len(), 1, "{set:?}: {ended:?}");
        assert_eq!(lines.last(), Some(ours[0]), "{set:?}: {ended:?}");
        for part in wrong.said {
            assert!(ours[0].contains(part), "{set:?}: {part:?} in {ours:?}");
        }
        for part in wrong.unsaid {
            assert!(
                !ended.stderr.contains(part),
                "{set:?}: {part:?} in {ended:?}"
            );
        }
        // Nothing is said twice.
        let (_, half) = ours[0].split_at(ours[0].len() / 2);
        let tail = half.rsplit(": ").next().unwrap();
        assert_eq!(ours[0].matches(tail).count(), 1, "{set:?}: {ours:?}");
    }
}

#[tokio::test]
async fn the_admin_token_is_in_no_complaint_about_something_else() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ended = Setup::memory().with("PORTCULLIS_ADDR", &addr).ends().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains(&addr) && ended.stderr.contains("in use"));
    assert!(!ended.stderr.contains(crate::process::ADMIN_TOKEN));
}

#[tokio::test]
async fn a_key_is_no_admin_token() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let key = server.a_key().await;
    server.kill().await;
    let setup = setup.with("PORTCULLIS_ADMIN_TOKEN", &key.secret);
    let ended = setup.ends().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("PORTCULLIS_ADMIN_TOKEN"), "{ended:?}");
    assert!(ended.stderr.contains("reads like a key"), "{ended:?}");
    assert!(!ended.stderr.contains(&key.secret));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let setup = Setup::sqlite();
    let text = "a diary, and not a database. ".repeat(100);
    std::fs::write(setup.file(), &text).unwrap();
    let ended = setup.ends().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("not a database"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(setup.file()).unwrap(), text);
}
