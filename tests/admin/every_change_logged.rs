//! Every change is one line in the log, and nothing that somebody typed is in it.

use crate::canary;
use crate::desk::{Desk, TOKEN};

fn taken() -> Vec<String> {
    let text = canary::take_log();
    // Whether the keyring is in step with its store is told when it comes to be so, between any two.
    let lines = text
        .lines()
        .filter(|line| line.contains(" INFO ") && !line.contains(" portcullis::lease: "));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_change_is_one_line_with_who_and_which_and_nothing_else() {
    canary::take_log();
    for desk in Desk::everywhere().await {
        taken();
        let body = r#"{"name": "TYPED", "owner": "OW\u202eNER=1", "scopes": ["TYPED"], "metadata": {"TYPED": 1}}"#;
        let made = desk.post(TOKEN, "/keys", body).await.ok();
        let (id, path) = (made.id(), format!("/keys/{}", made.id()));
        let mut secrets = vec![made.secret()];
        let said = |what: &str| {
            let lines = taken();
            assert_eq!(lines.len(), 1, "{what}: {lines:?}");
            assert!(lines[0].contains(what), "{what}: {lines:?}");
            assert!(lines[0].contains("admin-token"), "{what}: {lines:?}");
            assert!(!lines[0].contains("TYPED"), "{what}: {lines:?}");
            let stop = what.contains("stop");
            let owner = lines[0].contains(r#"owner="OW\u{202e}NER=1""#);
            assert!(owner || stop, "{what}: {lines:?}");
            lines[0].clone()
        };
        let quiet = |what: &str| assert_eq!(taken(), Vec::<String>::new(), "{what}");
        assert!(said("key created").contains(&id));
        desk.patch(TOKEN, &path, r#"{"name": "TYPED too"}"#)
            .await
            .ok();
        let line = said("key changed");
        assert!(
            line.contains(&id) && line.contains(r#"fields="name""#),
            "{line}"
        );
        desk.patch(TOKEN, &path, r#"{"name": "TYPED too"}"#)
            .await
            .ok();
        desk.patch(TOKEN, &path, "{}").await.ok();
        quiet("nothing changed");
        let rotate = format!("{path}/rotate");
        let rotated = desk
            .post(TOKEN, &rotate, r#"{"grace_seconds": 60}"#)
            .await
            .ok();
        secrets.push(rotated.secret());
        let line = said("key rotated");
        assert!(line.contains(&id));
        assert!(!secrets.iter().any(|secret| line.contains(secret)));
        let previous = format!("{path}/previous");
        desk.delete(TOKEN, &previous).await.ok();
        assert!(said("key left with one secret").contains(&id));
        desk.delete(TOKEN, &previous).await.ok();
        quiet("there was no previous secret");
        desk.delete(TOKEN, &format!("{path}?reason=TYPED"))
            .await
            .ok();
        assert!(said("key revoked").contains(&id));
        desk.delete(TOKEN, &path).await.ok();
        desk.post(TOKEN, &rotate, "{}").await;
        desk.post(TOKEN, "/keys/revoke", r#"{"all": true, "reason": "TYPED"}"#)
            .await
            .ok();
        quiet("it was revoked already");
        desk.key(&[]).await;
        let lines = taken();
        assert_eq!(lines.len(), 1, "the application's own changes, too");
        assert!(lines[0].contains("by=system"), "{lines:?}");
        desk.post(TOKEN, "/keys/revoke", r#"{"all": true, "reason": "TYPED"}"#)
            .await
            .ok();
        assert!(said("keys revoked by an emergency stop").contains("revoked=1"));
    }
}
