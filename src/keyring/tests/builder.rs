//! What cannot be built, and that the error says why.

use std::error::Error as _;
use std::time::Duration;

use crate::keyring::{BuildError, Builder, Keyring};
use crate::store::MemoryStore;

fn refused(options: impl FnOnce(Builder) -> Builder) -> BuildError {
    options(Keyring::builder(MemoryStore::new()))
        .build()
        .expect_err("refused")
}

/// The error and what is underneath, as a log shows them.
fn said(error: &BuildError) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said.push_str(": ");
        said.push_str(&error.to_string());
        source = error.source();
    }
    said
}

#[tokio::test]
async fn each_refusal_names_the_offending_value() {
    let second = Duration::from_secs(1);
    let grace = |grace| {
        move |b: Builder| {
            b.prefix("acme")
                .dangerously_accept_known_keys_during_outage(grace)
        }
    };
    let day = second * 86_400;
    let tests: [(BuildError, &[&str]); 16] = [
        (refused(|b| b), &["prefix"]),
        (refused(|b| b.prefix("Acme")), &["Acme"]),
        (refused(|b| b.prefix("")), &["prefix"]),
        (
            refused(|b| b.prefix("acme").environments(["Live"])),
            &["Live"],
        ),
        (refused(|b| b.prefix("acme").scopes(["a b"])), &["a b"]),
        (
            refused(|b| b.prefix("acme").poll_interval(second * 2)),
            &["2s", "5s", "poll interval"],
        ),
        (
            refused(|b| b.prefix("acme").lookup_deadline(second * 5)),
            &["look-up deadline", "5s"],
        ),
        (
            refused(|b| b.prefix("acme").poll_interval(Duration::ZERO)),
            &["poll_interval", "0ns", "1ms"],
        ),
        (
            refused(|b| b.prefix("acme").lookup_deadline(Duration::ZERO)),
            &["lookup_deadline", "0ns", "1ms"],
        ),
        (
            refused(|b| b.prefix("acme").capacity(0, 1)),
            &["known", "is 0"],
        ),
        (
            refused(|b| b.prefix("acme").capacity(1, 0)),
            &["unknown", "is 0"],
        ),
        (
            refused(|b| b.prefix("acme").lookups(1, 1)),
            &["look-ups", "is 1", "2"],
        ),
        (
            refused(|b| b.prefix("acme").lookups(2, 0)),
            &["waiting", "is 0"],
        ),
        (
            refused(grace(Duration::ZERO)),
            &["during_outage", "0ns", "1ms"],
        ),
        (
            refused(grace(day + second)),
            &["during_outage", "86401s", "86400s"],
        ),
        (
            refused(|b| b.prefix("acme").unknown_lookups(0, 1)),
            &["unknown", "second", "is 0"],
        ),
    ];
    for (error, values) in tests {
        let said = said(&error);
        for value in values {
            assert!(said.contains(value), "{value:?} is not in {said:?}");
        }
    }
}

#[tokio::test]
async fn the_limits_themselves_are_allowed() {
    let second = Duration::from_secs(1);
    let builder = Keyring::builder(MemoryStore::new())
        .prefix("acme")
        .max_staleness(second * 4)
        .poll_interval(second)
        .lookup_deadline(Duration::from_nanos(3_999_999_999))
        .capacity(1, 1)
        .lookups(2, 1)
        .unknown_lookups(1, 1)
        .dangerously_accept_known_keys_during_outage(second * 86_400);
    assert!(builder.build().is_ok());
}

#[test]
fn outside_a_runtime_it_says_so() {
    let error = refused(|b| b.prefix("acme"));
    assert!(matches!(error, BuildError::NoRuntime(_)), "{error:?}");
    assert!(said(&error).contains("Tokio"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_fails_nothing() {
    let store = crate::testing::FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    faults.fail();
    let keyring = Keyring::builder(store).prefix("acme").build().unwrap();
    assert!(keyring.ready().await.is_err());
    faults.heal();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(keyring.health().in_sync, "it goes on trying by itself");
}
