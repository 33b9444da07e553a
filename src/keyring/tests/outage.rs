//! A store that fails: unavailable, never unauthorized, never remembered, and soon over.

use std::time::Duration;

use super::fixture::{REVOKED, Replica, UNKNOWN, allowed, answers, timed, unavailable};
use crate::keyring::Unavailable;

/// A pause with the most that chance adds to it, and the granularity of Tokio's clock.
const LONGEST_PAUSE: Duration = Duration::from_millis(127);

#[tokio::test(start_paused = true)]
async fn the_first_request_after_the_recovery_is_answered() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.faults.fail();
    let (answer, took) = timed(replica.ask(secret)).await;
    assert_eq!(answer, unavailable(Unavailable::StoreFailed));
    assert_eq!(took, Duration::ZERO);
    assert!(!replica.keyring.health().lookups_answered);
    replica.faults.heal();
    let (answer, took) = timed(replica.ask(secret)).await;
    assert_eq!(answer, allowed());
    assert!(took <= LONGEST_PAUSE, "{took:?}");
    assert_eq!(replica.faults.look_ups.calls(), 2);
    assert!(replica.keyring.health().lookups_answered);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_no_answer_and_is_not_remembered() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let (secret, junk) = (created.secret.expose(), replica.junk());
    replica.faults.fail();
    for _ in 0..3 {
        for secret in [secret, &junk] {
            let answer = replica.ask(secret).await;
            assert_eq!(answer, unavailable(Unavailable::StoreFailed));
        }
    }
    assert_eq!(replica.keyring.health().unknown, 0);
    replica.faults.heal();
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.ask(&junk).await, UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_the_probe_go_on_when_it_is_answered() {
    let replica = Replica::alone().await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(replica.create().await);
    }
    replica.faults.fail();
    drop(replica.ask(keys[0].secret.expose()).await);
    let crowd = keys.iter().map(|key| replica.asking(key.secret.expose()));
    let crowd = crowd.collect();
    tokio::task::yield_now().await;
    replica.faults.heal();
    let (answers, took) = timed(answers(crowd)).await;
    assert!(answers.iter().all(|a| *a == allowed()), "{answers:?}");
    assert!(took <= LONGEST_PAUSE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_the_probe_are_refused_when_it_fails() {
    let replica = Replica::alone().await;
    replica.faults.fail();
    drop(replica.ask(&replica.junk()).await);
    let crowd = (0..20).map(|_| replica.asking(&replica.junk())).collect();
    let (answers, took) = timed(answers(crowd)).await;
    let refused = unavailable(Unavailable::StoreFailed);
    assert!(answers.iter().all(|a| *a == refused), "{answers:?}");
    assert!(took <= LONGEST_PAUSE, "{took:?}");
    assert_eq!(replica.faults.look_ups.calls(), 2, "one, and the probe");
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_asked_about_ten_times_a_second() {
    let replica = Replica::alone().await;
    replica.faults.fail();
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.extend((0..10).map(|_| replica.asking(&replica.junk())));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for answer in answers(crowd).await {
        assert!(
            matches!(answer, Err(crate::keyring::Denial::Unavailable(_))),
            "{answer:?}"
        );
    }
    let calls = replica.faults.look_ups.calls();
    assert!((10..=30).contains(&calls), "{calls} in two seconds");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_again_and_again_is_not_piled_upon() {
    let replica = Replica::alone().await;
    replica.faults.look_ups.hang();
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(replica.asking(&replica.junk()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(answers(crowd).await);
    let calls = replica.faults.look_ups.calls();
    assert!(calls <= 10 + 20, "{calls} in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_in_vain_for_the_probe_does_not_say_that_the_gate_is_overloaded() {
    let replica = Replica::alone().await;
    replica.faults.look_ups.hang();
    drop(replica.ask(&replica.junk()).await);
    let probe = replica.asking(&replica.junk());
    let other = replica.asking(&replica.junk());
    for request in [probe, other] {
        let answer = request.await.unwrap();
        assert_ne!(answer, unavailable(Unavailable::Overloaded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoke_that_fails_leaves_the_key_as_it_is_and_one_that_works_ends_it() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.writes.fail();
    assert!(replica.keyring.revoke(&created.key.id, None).await.is_err());
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.faults.look_ups.calls(), 1, "nothing was forgotten");
    replica.faults.writes.heal();
    replica.revoke(&created.key.id).await;
    assert_eq!(replica.ask(secret).await, REVOKED);
}
