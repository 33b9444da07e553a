//! One look-up for a crowd, and what becomes of the crowd when it goes wrong.

use std::time::Duration;

use super::fixture::{Replica, UNKNOWN, allowed, answers, soon, timed, unavailable, until};
use crate::keyring::Unavailable;
use crate::store::MemoryStore;

const DEADLINE: Duration = Duration::from_millis(500);

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_for_a_cold_key_take_one_look_up() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let crowd = replica.crowd(created.secret.expose(), 1_000);
    assert!(answers(crowd).await.iter().all(|a| *a == allowed()));
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_hang_up_do_not_disturb_the_others() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let look_ups = &replica.faults.look_ups;
    look_ups.freeze_next(1);
    let first = replica.asking(created.secret.expose());
    soon(look_ups.frozen(1)).await;
    let mut others = replica.crowd(created.secret.expose(), 300);
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let rest = others.split_off(250);
    for leaver in others {
        leaver.abort();
        assert!(leaver.await.unwrap_err().is_cancelled());
    }
    look_ups.release();
    assert!(answers(rest).await.iter().all(|a| *a == allowed()));
    assert_eq!(look_ups.calls(), 1);
    assert_eq!(replica.keyring.health().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_nobody_waits_for_any_more_is_remembered() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let look_ups = &replica.faults.look_ups;
    look_ups.freeze_next(1);
    let only = replica.asking(created.secret.expose());
    soon(look_ups.frozen(1)).await;
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    look_ups.release();
    until(async || replica.keyring.health().lookups == 0).await;
    look_ups.fail();
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    assert_eq!(look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_store_refuses_the_whole_crowd_and_then_recovers() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    replica.faults.look_ups.panic();
    let crowd = replica.crowd(created.secret.expose(), 10);
    let refused = unavailable(Unavailable::Corrupt);
    assert!(answers(crowd).await.iter().all(|a| *a == refused));
    assert_eq!(replica.faults.look_ups.calls(), 1);
    replica.faults.look_ups.heal();
    let crowd = replica.crowd(created.secret.expose(), 10);
    assert!(answers(crowd).await.iter().all(|a| *a == allowed()));
    assert_eq!(replica.faults.look_ups.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_store_is_asked_once_and_waited_for_until_the_deadline() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    replica.faults.look_ups.hang();
    let crowd = replica.crowd(created.secret.expose(), 1_000);
    let (answers, took) = timed(answers(crowd)).await;
    let refused = unavailable(Unavailable::Deadline);
    assert!(answers.iter().all(|a| *a == refused));
    assert!(took <= DEADLINE + Duration::from_millis(1), "{took:?}");
    assert_eq!(replica.faults.look_ups.calls(), 1);
    assert_eq!(replica.keyring.health().lookups, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_waited_for_within_the_deadline() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.faults.look_ups.delay(DEADLINE / 2);
    let (answer, took) = timed(replica.ask(secret)).await;
    assert_eq!(answer, allowed());
    assert!(took >= DEADLINE / 2 && took < DEADLINE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_cools_its_own_key_alone() {
    let replica = Replica::alone().await;
    let (bad, good) = (replica.create().await, replica.create().await);
    replica.faults.look_ups.corrupt();
    let answer = replica.ask(bad.secret.expose()).await;
    assert_eq!(answer, unavailable(Unavailable::Corrupt));
    replica.faults.look_ups.heal();
    let (answer, took) = timed(replica.ask(good.secret.expose())).await;
    assert_eq!((answer, took), (allowed(), Duration::ZERO));
    let (answer, took) = timed(replica.ask(bad.secret.expose())).await;
    assert_eq!(answer, allowed());
    let pause = Duration::from_millis(75)..Duration::from_millis(127);
    assert!(pause.contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn more_waiters_than_there_are_places_are_refused_at_once() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(2, 3)).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.faults.look_ups.freeze_next(1);
    let crowd = replica.crowd(secret, 3);
    soon(replica.faults.look_ups.frozen(1)).await;
    tokio::task::yield_now().await;
    let (answer, took) = timed(replica.ask(secret)).await;
    assert_eq!(answer, unavailable(Unavailable::Overloaded));
    assert_eq!(took, Duration::ZERO);
    replica.faults.look_ups.release();
    assert!(answers(crowd).await.iter().all(|a| *a == allowed()));
    assert_eq!(replica.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn look_ups_that_everybody_left_are_bounded_too() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(2, 3)).await;
    replica.faults.look_ups.hang();
    for _ in 0..3 {
        let request = replica.asking(&replica.junk());
        tokio::task::yield_now().await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }
    let (answer, took) = timed(replica.ask(&replica.junk())).await;
    assert_eq!(answer, unavailable(Unavailable::Overloaded));
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_gets_no_turn_is_given_up_at_half_of_its_deadline() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(2, 10)).await;
    replica.faults.look_ups.hang();
    let first = replica.asking(&replica.junk());
    tokio::task::yield_now().await;
    let second = replica.asking(&replica.junk());
    let (second, took) = timed(second).await;
    assert_eq!(second.unwrap(), unavailable(Unavailable::Overloaded));
    assert!(took <= DEADLINE / 2 + Duration::from_millis(1), "{took:?}");
    assert_eq!(first.await.unwrap(), unavailable(Unavailable::Deadline));
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_whose_turn_would_come_too_late_to_be_answered_is_not_made() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(2, 10)).await;
    // The second would begin after this, and have less left than it takes.
    replica.faults.look_ups.delay(DEADLINE * 3 / 5);
    let first = replica.asking(&replica.junk());
    tokio::task::yield_now().await;
    let second = replica.ask(&replica.junk()).await;
    assert_eq!(second, unavailable(Unavailable::Overloaded));
    assert_eq!(first.await.unwrap(), UNKNOWN);
    assert_eq!(replica.faults.look_ups.calls(), 1);
}
