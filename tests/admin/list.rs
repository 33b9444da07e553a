//! `GET /keys`.

use std::collections::HashSet;

use serde_json::Value;

use crate::reply::Reply;
use crate::world::{ADMIN_TOKEN, World};

on_every_store!(
    pages_show_every_key_once_newest_first,
    without_keys_admin_one_sees_ones_own_owner_only,
    limits_are_numbers_from_1_to_500,
    parameters_are_known_and_there_once,
    a_cursor_that_was_touched_is_refused,
    a_cursor_is_good_for_its_own_list_only,
);

fn ids(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
    body["keys"].as_array().unwrap().iter().map(id).collect()
}

fn next(reply: &Reply) -> Option<String> {
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 2);
    let next = &body["next_cursor"];
    assert!(next.is_null() || next.is_string());
    next.as_str().map(str::to_owned)
}

async fn pages_show_every_key_once_newest_first(world: World) {
    let mut made = HashSet::new();
    for n in 0..7 {
        // Some at the same moment.
        world.advance(n % 2);
        made.insert(world.key("a", &[]).await.id);
    }
    let whole = world.get("/admin/keys", ADMIN_TOKEN).await;
    let body = whole.json();
    let keys = body["keys"].as_array().unwrap();
    let order = |key: &Value| (key["created_at"].to_string(), key["id"].to_string());
    assert!(keys.is_sorted_by(|a, b| order(a) > order(b)));
    assert_eq!(ids(&whole).into_iter().collect::<HashSet<_>>(), made);

    for limit in [1, 2, 3, 6, 7, 8] {
        let (mut shown, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/admin/keys?limit={limit}{cursor}");
            let page = world.get(&path, ADMIN_TOKEN).await;
            let ids = ids(&page);
            assert!(ids.len() <= limit && !ids.is_empty(), "{limit}");
            shown.extend(ids);
            match next(&page) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(shown, ids(&whole), "{limit}");
    }

    // The limit may change, and what is made meanwhile does not shift the pages.
    let first = world.get("/admin/keys?limit=2", ADMIN_TOKEN).await;
    world.advance(1);
    world.key("a", &[]).await;
    let path = format!("/admin/keys?cursor={}", next(&first).unwrap());
    let rest = world.get(&path, ADMIN_TOKEN).await;
    assert_eq!(ids(&rest), ids(&whole)[2..]);
    assert_eq!(next(&rest), None);
}

async fn without_keys_admin_one_sees_ones_own_owner_only(world: World) {
    let reader = world.key("a", &["keys:read"]).await;
    let admin = world.key("a", &["keys:admin"]).await;
    let other = world.key("b", &["keys:write"]).await;
    let own = [&*reader.id, &admin.id];
    let (all, theirs) = ([&*reader.id, &admin.id, &other.id], [&*other.id]);
    let cases: [(&str, &str, &[&str]); 11] = [
        ("", &reader.secret, &own),
        ("?owner=a", &reader.secret, &own),
        ("?owner=b", &reader.secret, &[]),
        ("?owner=nobody", &reader.secret, &[]),
        ("?owner=A", &reader.secret, &[]),
        ("", &other.secret, &theirs),
        ("", &admin.secret, &all),
        ("?owner=b", &admin.secret, &theirs),
        ("", ADMIN_TOKEN, &all),
        ("?owner=a", ADMIN_TOKEN, &own),
        ("?owner=nobody", ADMIN_TOKEN, &[]),
    ];
    for (query, token, expected) in cases {
        let reply = world.get(&format!("/admin/keys{query}"), token).await;
        assert_eq!(reply.status, 200, "{query}");
        let shown: HashSet<String> = ids(&reply).into_iter().collect();
        let expected = expected.iter().map(|&id| id.to_owned()).collect();
        assert_eq!(shown, expected, "{query}");
        assert_eq!(next(&reply), None, "{query}");
    }
    let nobody = world.key("a", &["*"]).await;
    let reply = world.get("/admin/keys", &nobody.secret).await;
    assert_eq!(reply.told(), (403, "insufficient_scope"));
    assert_eq!(
        reply.header("www-authenticate"),
        r#"Bearer realm="api", error="insufficient_scope", scope="keys:read""#
    );
}

async fn limits_are_numbers_from_1_to_500(world: World) {
    for _ in 0..52 {
        world.key("a", &[]).await;
    }
    for (query, shown) in [
        ("", 50),
        ("?limit=1", 1),
        ("?limit=49", 49),
        ("?limit=52", 52),
        ("?limit=500", 52),
    ] {
        let reply = world.get(&format!("/admin/keys{query}"), ADMIN_TOKEN).await;
        assert_eq!(ids(&reply).len(), shown, "{query}");
        assert_eq!(next(&reply).is_some(), shown < 52, "{query}");
    }
    for limit in [
        "0",
        "501",
        "-1",
        "%2B5",
        "abc",
        "",
        "1.5",
        "1e2",
        "0x10",
        "%D9%A3",
        "5%20",
        "+5",
        "4294967297",
        "18446744073709551617",
        "null",
    ] {
        let path = format!("/admin/keys?limit={limit}");
        let reply = world.get(&path, ADMIN_TOKEN).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{limit}");
        assert_eq!(reply.places(), ["?limit"], "{limit}");
    }
}

async fn parameters_are_known_and_there_once(world: World) {
    let (long, endless) = (
        format!("?owner={}", "x".repeat(256)),
        "?x=1".to_owned() + &"&x=1".repeat(1_000),
    );
    let cases: [(&str, &[&str]); 16] = [
        ("?limit=1&limit=1", &["?limit"]),
        ("?limit=1&li%6Dit=2", &["?limit"]),
        ("?owner=a&owner=a", &["?owner"]),
        ("?cursor=a&cursor=a", &["?cursor"]),
        ("?status=alive", &["?status"]),
        ("?environment=dead", &["?environment"]),
        ("?expires_before=soon", &["?expires_before"]),
        ("?Limit=1", &["?Limit"]),
        ("?x", &["?x"]),
        ("?=", &["?"]),
        ("?owner=", &["?owner"]),
        ("?owner=%00", &["?owner"]),
        ("?owner=%ff", &["?owner"]),
        (&long, &["?owner"]),
        ("?x=1&limit=0&owner=", &["?x", "?owner", "?limit"]),
        (&endless, &["?x"; 20]),
    ];
    for (query, places) in cases {
        let reply = world.get(&format!("/admin/keys{query}"), ADMIN_TOKEN).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{query:.80}");
        assert_eq!(reply.places(), places, "{query:.80}");
    }
    for query in ["?", "?&", "?limit=5&", "?owner=a+b%2Fc"] {
        let reply = world.get(&format!("/admin/keys{query}"), ADMIN_TOKEN).await;
        assert_eq!(reply.status, 200, "{query}");
    }
}

async fn a_cursor_that_was_touched_is_refused(world: World) {
    for _ in 0..3 {
        world.key("a", &[]).await;
    }
    let first = world.get("/admin/keys?limit=1", ADMIN_TOKEN).await;
    let cursor = next(&first).unwrap();
    let get = async |cursor: &str| {
        let path = format!("/admin/keys?cursor={cursor}");
        world.get(&path, ADMIN_TOKEN).await.told()
    };
    assert_eq!(get(&cursor).await, (200, ""));
    for at in 0..cursor.len() {
        for other in ["A", "B", "_", "%00", "%3D"] {
            if !cursor[at..].starts_with(other) {
                let touched = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
                assert_eq!(get(&touched).await, (400, "invalid_cursor"), "{touched}");
            }
        }
    }
    for bad in [
        "",
        "A",
        "null",
        &cursor[..cursor.len() / 2],
        &cursor[1..],
        &"A".repeat(60_000),
        &format!("{cursor}%3D"),
        &format!("{cursor}A"),
        &format!("%20{cursor}"),
        &cursor.repeat(2),
    ] {
        assert_eq!(get(bad).await, (400, "invalid_cursor"), "{bad:.200}");
    }
    assert_eq!(get("%ff").await, (400, "invalid_cursor"));
}

async fn a_cursor_is_good_for_its_own_list_only(world: World) {
    let a = world.key("a", &["keys:read"]).await.secret;
    let a2 = world.key("a", &["keys:read"]).await.secret;
    let b = world.key("b", &["keys:read"]).await.secret;
    world.key("b", &[]).await;
    let elsewhere = World::memory();
    elsewhere.key("a", &[]).await;
    elsewhere.key("a", &[]).await;
    let first = async |world: &World, token: &str| {
        next(&world.get("/admin/keys?limit=1", token).await).unwrap()
    };
    let everybody = first(&world, ADMIN_TOKEN).await;
    let of_a = first(&world, &a).await;
    let of_b = first(&world, &b).await;
    let foreign = first(&elsewhere, ADMIN_TOKEN).await;
    let (good, bad) = ((200, ""), (400, "invalid_cursor"));
    for (cursor, token, query, expected) in [
        (&everybody, ADMIN_TOKEN, "", good),
        (&everybody, ADMIN_TOKEN, "&owner=a", bad),
        (&everybody, &a, "", bad),
        (&of_a, &a, "", good),
        (&of_a, &a, "&limit=500", good),
        (&of_a, &a, "&owner=a", good),
        (&of_a, &a2, "", good),
        (&of_a, ADMIN_TOKEN, "&owner=a", good),
        (&of_a, ADMIN_TOKEN, "", bad),
        (&of_a, &b, "", bad),
        (&of_a, &b, "&owner=a", bad),
        (&of_b, &a, "&owner=b", bad),
        (&foreign, ADMIN_TOKEN, "", bad),
    ] {
        let path = format!("/admin/keys?cursor={cursor}{query}");
        assert_eq!(world.get(&path, token).await.told(), expected, "{path}");
    }
}
