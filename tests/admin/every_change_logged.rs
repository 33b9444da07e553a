//! Every change is one line in the log, and nothing that somebody typed is in it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::desk::{Desk, TOKEN};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn taken(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_change_is_one_line_with_who_and_which_and_nothing_else() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);
    for desk in Desk::everywhere().await {
        lines.taken();
        let body =
            r#"{"name": "TYPED", "owner": "TYPED", "scopes": ["TYPED"], "metadata": {"TYPED": 1}}"#;
        let made = desk.post(TOKEN, "/keys", body).await.ok();
        let (id, path) = (made.id(), format!("/keys/{}", made.id()));
        let mut secrets = vec![made.secret()];
        let said = |what: &str| {
            let lines = lines.taken();
            assert_eq!(lines.len(), 1, "{what}: {lines:?}");
            assert!(lines[0].contains(what), "{what}: {lines:?}");
            assert!(lines[0].contains("admin-token"), "{what}: {lines:?}");
            assert!(!lines[0].contains("TYPED"), "{what}: {lines:?}");
            lines[0].clone()
        };
        let quiet = |what: &str| assert_eq!(lines.taken(), Vec::<String>::new(), "{what}");
        assert!(said("key created").contains(&id));
        desk.patch(TOKEN, &path, r#"{"name": "TYPED too"}"#)
            .await
            .ok();
        assert!(said("key changed").contains(&id));
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
        desk.post(TOKEN, "/keys/revoke", r#"{"all": true, "reason": "TYPED"}"#)
            .await
            .ok();
        assert!(said("keys revoked by an emergency stop").contains("revoked=1"));
    }
}
