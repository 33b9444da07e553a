//! The filters of `GET /keys`, and what its cursors are good for.

use std::time::Duration;

use portcullis::keyring::Expiry;

use crate::desk::{Answer, Desk, TOKEN};

fn names(answer: &Answer) -> Vec<String> {
    let keys = answer.body["keys"].as_array().unwrap().iter();
    let mut names: Vec<String> = keys
        .map(|key| key["id"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_list_shows_what_its_filters_let_through() {
    let desk = Desk::at_will();
    let active = desk.key(&[]).await.id;
    let disabled = desk.key_of("other", &[]).await;
    desk.patch(TOKEN, &disabled.path(), r#"{"enabled": false}"#)
        .await
        .ok();
    let revoked = desk.key(&[]).await;
    desk.delete(TOKEN, &revoked.path()).await.ok();
    let end = |seconds| Expiry::In(Duration::from_secs(seconds));
    let expired = desk.key_for("acme", &[], end(10)).await.id;
    let later = desk.key_for("acme", &[], end(3600)).await.id;
    let body = r#"{"name": "t", "scopes": [], "environment": "test", "owner": "acme"}"#;
    let test = desk.post(TOKEN, "/keys", body).await.ok().id();
    desk.clock.advance(Duration::from_secs(10));
    let (active, disabled, revoked) = (active.as_str(), disabled.id.as_str(), revoked.id.as_str());
    let (expired, later) = (expired.as_str(), later.as_str());

    let cases: [(&str, &[&str]); 15] = [
        ("", &[active, disabled, revoked, expired, later, &test]),
        ("status=active", &[active, later, &test]),
        ("status=disabled", &[disabled]),
        ("status=expired", &[expired]),
        ("status=revoked", &[revoked]),
        ("environment=test", &[&test]),
        ("environment=live&status=active", &[active, later]),
        ("environment=test&status=revoked", &[]),
        ("expires_before=2030-01-01T00:00:10Z", &[]),
        ("expires_before=2030-01-01T00:00:10.000001Z", &[expired]),
        (
            "expires_before=2030-01-01T01:00:10.000001%2B01:00",
            &[expired],
        ),
        ("expires_before=9999-12-31T23:59:59Z", &[expired, later]),
        (
            "expires_before=9999-12-31T23:59:59Z&status=active",
            &[later],
        ),
        ("owner=other&status=disabled", &[disabled]),
        ("owner=other&status=active", &[]),
    ];
    for (query, expected) in cases {
        let answer = desk.get(TOKEN, &format!("/keys?{query}")).await.ok();
        let mut expected: Vec<_> = expected.iter().map(|id| (*id).to_owned()).collect();
        expected.sort();
        assert_eq!(names(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn another_owner_is_an_empty_list_whatever_the_filter() {
    for desk in Desk::everywhere().await {
        let reader = desk.key(&["keys:read"]).await;
        desk.key_of("other", &[]).await;
        for query in ["owner=other", "owner=nobody", "owner=other&status=active"] {
            let answer = desk
                .get(&reader.secret, &format!("/keys?{query}"))
                .await
                .ok();
            assert_eq!(answer.text, r#"{"keys":[],"next_cursor":null}"#, "{query}");
        }
        let own = desk.get(&reader.secret, "/keys?status=active").await.ok();
        assert_eq!(names(&own), [reader.id.as_str()]);
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_named() {
    for desk in Desk::everywhere().await {
        for (query, at) in [
            ("status=", "status"),
            ("status=Active", "status"),
            ("status=active,revoked", "status"),
            ("status=active&status=active", "status"),
            ("environment=", "environment"),
            ("environment=prod", "environment"),
            ("expires_before=", "expires_before"),
            ("expires_before=90d", "expires_before"),
            ("expires_before=2030-01-01", "expires_before"),
            ("expires_before=2030-01-01T00:00:00", "expires_before"),
            ("expires_before=2030-01-01T00:00:00+01:00", "expires_before"),
            ("expires_before=2016-12-31T23:59:60Z", "expires_before"),
            ("expires_before=10000-01-01T00:00:00Z", "expires_before"),
            (
                "expires_before=2030-01-01T00:00:00.1234567890Z",
                "expires_before",
            ),
            ("expires_before=%FF", "expires_before"),
            ("roles=x", "roles"),
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=+1", "limit"),
        ] {
            let answer = desk.get(TOKEN, &format!("/keys?{query}")).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{query}");
            assert_eq!(answer.at(), [at], "{query}");
            // Before the cursor is looked at.
            let answer = desk.get(TOKEN, &format!("/keys?{query}&cursor=x")).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{query}");
        }
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_filters_whatever_the_limit() {
    let lists = [
        "",
        "owner=acme",
        "status=active",
        "environment=live",
        "owner=acme&status=active",
        "status=active&environment=live",
        "expires_before=9999-01-01T00:00:00Z",
        "expires_before=9999-01-02T00:00:00Z",
        "status=active&environment=live&expires_before=9999-01-01T00:00:00Z",
    ];
    for desk in Desk::everywhere().await {
        let reader = desk.key(&["keys:read"]).await;
        let year = Expiry::In(Duration::from_hours(365 * 24));
        for _ in 0..4 {
            desk.key_for("acme", &[], year).await;
        }
        for of in lists {
            let first = desk.get(TOKEN, &format!("/keys?{of}&limit=2")).await.ok();
            let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
            for with in lists {
                let path = format!("/keys?{with}&limit=3&cursor={cursor}");
                let answer = desk.get(TOKEN, &path).await;
                if of == with {
                    assert_eq!(answer.status, 200, "{of} {with}");
                } else {
                    assert_eq!(answer.said(), (400, "invalid_cursor"), "{of} {with}");
                }
            }
            // The caller who sees one owner alone has the view of that owner, asked for or not.
            let path = format!("/keys?{of}&cursor={cursor}");
            let answer = desk.get(&reader.secret, &path).await;
            let own = of.starts_with("owner=acme");
            assert_eq!(answer.status, if own { 200 } else { 400 }, "{of}");
        }
    }
}

#[tokio::test]
async fn pages_go_through_all_that_is_filtered_once() {
    for desk in Desk::everywhere().await {
        let mut expected = Vec::new();
        for at in 0..11 {
            let key = desk.key(&[]).await;
            if at % 3 == 0 {
                desk.delete(TOKEN, &key.path()).await.ok();
            } else {
                expected.push(key.id.as_str().to_owned());
            }
        }
        expected.sort();
        let (mut seen, mut cursor, mut limit) = (Vec::new(), String::new(), 1);
        loop {
            let path = format!("/keys?status=active&limit={limit}{cursor}");
            let page = desk.get(TOKEN, &path).await.ok();
            seen.extend(names(&page));
            limit += 1;
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn no_changed_character_of_a_cursor_goes_unnoticed() {
    for desk in Desk::everywhere().await {
        for _ in 0..3 {
            desk.key(&[]).await;
        }
        let page = desk.get(TOKEN, "/keys?status=active&limit=1").await.ok();
        let cursor = page.body["next_cursor"].as_str().unwrap();
        for at in 0..cursor.len() {
            for other in ["A", "B", "-", "%00", "%25", "%F0%9F%98%80"] {
                let (before, after) = (&cursor[..at], &cursor[at + 1..]);
                if cursor[at..=at] == *other {
                    continue;
                }
                let path = format!("/keys?status=active&limit=1&cursor={before}{other}{after}");
                let answer = desk.get(TOKEN, &path).await;
                assert_eq!(answer.said(), (400, "invalid_cursor"), "{at} {other}");
            }
        }
        for cursor in [
            "",
            "null",
            &cursor[1..],
            &cursor[..cursor.len() - 1],
            &cursor.repeat(99),
        ] {
            let path = format!("/keys?status=active&cursor={cursor}");
            let answer = desk.get(TOKEN, &path).await;
            assert_eq!(answer.said(), (400, "invalid_cursor"), "{cursor}");
        }
    }
}
