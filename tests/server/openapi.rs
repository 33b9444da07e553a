//! The OpenAPI document by the word of others: a validator, and schemathesis against a server that
//! runs.
//!
//! Both are Python packages. Where they are not installed this says so and is skipped; with
//! `CI=true` in the environment that is a failure instead.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::process::{ADMIN_TOKEN, Setup, within};

/// How long schemathesis may take: many times what it does.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(8);

/// Whether a program can be started.
async fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let there = command.status().await.is_ok_and(|status| status.success());
    if !there {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "{program} is not installed, and CI=true");
        eprintln!("SKIPPED: {program} is not installed: pip install {program}");
    }
    there
}

async fn succeeds(mut command: Command) {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = within(PATIENCE, "a check of the document", command.output()).await;
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaint}");
}

#[tokio::test]
async fn the_document_is_valid_and_the_server_does_as_it_says() {
    let validates = is_there("openapi-spec-validator").await;
    let tries_out = is_there("schemathesis").await;
    let setup = Setup::memory().with("RUST_LOG", "error,server=info");
    let server = setup.start().await;
    let document = server.get("/admin/openapi.json", ADMIN_TOKEN).await.is(200);
    let file = setup.folder.path().join("openapi.json");
    std::fs::write(&file, document.body).unwrap();

    if validates {
        let mut command = Command::new("openapi-spec-validator");
        command.arg(&file);
        succeeds(command).await;
    }
    if tries_out {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server");
        let mut command = Command::new("schemathesis");
        command
            .arg("run")
            .arg(&file)
            .args(["--url", &format!("http://{}/admin", server.address)])
            .args(["--header", &format!("Authorization: Bearer {ADMIN_TOKEN}")])
            .args(["--checks", "all"])
            // What is wrong with a cursor, a moment that has passed, or a network with bits beyond
            // its prefix, no schema can say.
            .args(["--exclude-checks", "positive_data_acceptance"])
            .args(["--max-examples", "30", "--seed", "1", "--no-color"])
            .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
            .env("PYTHONPATH", hooks)
            .current_dir(setup.folder.path());
        succeeds(command).await;
    }
}
