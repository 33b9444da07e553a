//! One fault from beginning to end: load, fault, recovery, and the verdict.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::runner::bite::toothless;
use crate::runner::chance::Chance;
use crate::runner::client::Client;
use crate::runner::fault::Fault;
use crate::runner::figures::Figures;
use crate::runner::history::{By, Form, Found, History};
use crate::runner::judge::{RECOVERY, SLACK, Violation, judge};
use crate::runner::proxy::Traffic;
use crate::runner::stage::Stage;
use crate::runner::world::World;
use crate::runner::{lives, load};

/// How many changes there are before the fault, so that it finds everything at work.
const WARM: usize = 15;

pub(crate) struct Episode {
    pub(crate) fault: Option<Fault>,
    pub(crate) lasting: Duration,
    pub(crate) seed: u64,
}

pub(crate) struct Report {
    pub(crate) history: History,
    pub(crate) violations: Vec<Violation>,
    pub(crate) figures: Figures,
    /// How many connections there may be, and the most there were when the time for recovery was
    /// over and when all was.
    pub(crate) connections: (usize, usize),
    pub(crate) commits_lost: u64,
    /// What Postgres was asked meanwhile, by all replicas.
    traffic: Traffic,
    /// What the fault was to do and did not.
    pub(crate) toothless: Option<&'static str>,
}

impl Episode {
    pub(crate) async fn play(self, world: &Arc<World>) -> Report {
        let stage = Stage::on(world);
        let mut chance = Chance::seeded(self.seed);
        let (stop, stopping) = watch::channel(false);
        let mut tasks = load::drive(&stage, &mut chance, &stopping);
        let is_lossy = self.fault.is_some_and(Fault::loses_changes);
        let mut authors = JoinSet::new();
        if !is_lossy {
            authors = lives::drive(&stage, &mut chance, &stopping);
            while stage.changes() < WARM {
                sleep(Duration::from_millis(10)).await;
            }
        }
        let lost_before = commits_lost(world);
        let traffic_before = traffic(world);
        match self.fault {
            Some(fault) => fault.inflict(&stage, &mut chance, self.lasting).await,
            None => sleep(self.lasting).await,
        }
        let most = world.most_connections();
        let over = stage.now();
        let soon = world.connections_fall_to(most, RECOVERY).await;
        // Until the last change of before has reached everybody, and well beyond the time in which
        // a failure is forgiven.
        let settled = over + RECOVERY.max(world.scale.max_staleness + SLACK) + RECOVERY / 4;
        sleep(settled.saturating_sub(stage.now())).await;
        // Every replica makes a key, and every replica lets it in.
        for replica in 0..world.sites.len() {
            if let Some(key) = stage.create(&mut Client::default(), replica).await {
                load::ask_all(&stage, &mut chance, key.secret).await;
            }
        }
        stop.send_replace(true);
        while let Some(ended) = authors.join_next().await {
            ended.unwrap();
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let mut history = stage.take_history();
        if !is_lossy {
            history.found = look(&stage, &mut chance).await;
        }
        let connections = soon.max(world.connections().await);
        let now = traffic(world);
        let mut report = Report {
            violations: judge(&history),
            figures: Figures::of(&history),
            history,
            connections: (most, connections),
            commits_lost: commits_lost(world) - lost_before,
            traffic: Traffic {
                statements: now.statements - traffic_before.statements,
                bytes: now.bytes - traffic_before.bytes,
            },
            toothless: None,
        };
        report.toothless = self.fault.and_then(|fault| toothless(fault, &report));
        report
    }
}

impl Report {
    /// Whether every promise was kept, under a fault that was one.
    pub(crate) fn is_clean(&self) -> bool {
        let (most, after) = self.connections;
        self.violations.is_empty() && after <= most && self.toothless.is_none()
    }
}

fn traffic(world: &World) -> Traffic {
    let mut sum = Traffic::default();
    for site in &world.sites {
        let traffic = site.proxy.traffic();
        sum.statements += traffic.statements;
        sum.bytes += traffic.bytes;
    }
    sum
}

fn commits_lost(world: &World) -> u64 {
    let sites = world.sites.iter();
    sites.map(|site| site.proxy.commits_lost()).sum()
}

/// Every key as any replica and as Postgres tells of it.
async fn look(stage: &Arc<Stage>, chance: &mut Chance) -> Vec<Found> {
    let mut found = Vec::new();
    let mut client = Client::default();
    let rows = stage.world.hand.sql(
        "SELECT k.id, k.enabled, k.scopes <> '', k.revoked_at IS NOT NULL, encode(s.digest, 'hex')
         FROM portcullis.keys k LEFT JOIN portcullis.secrets s
             ON s.key_id = k.id AND s.slot = 'current'",
    );
    let rows = rows.await.unwrap();
    let rows: std::collections::HashMap<&str, Vec<&str>> = rows
        .lines()
        .map(|row| row.split('|').collect::<Vec<_>>())
        .map(|row| (row[0], row))
        .collect();
    for (key, id) in stage.keys() {
        let replica = stage.any_replica(chance);
        let shown = stage.shown(&mut client, replica, &id).await;
        let form = Form {
            enabled: shown["enabled"] == true,
            scoped: shown["scopes"] != serde_json::json!([]),
            revoked: shown["status"] == "revoked",
        };
        found.push(Found {
            key,
            by: By::Replica(replica),
            form: (shown["id"] == *id).then_some(form),
            secret: None,
        });
        let row = rows.get(&*id);
        found.push(Found {
            key,
            by: By::Hand,
            form: row.map(|row| Form {
                enabled: row[1] == "t",
                scoped: row[2] == "t",
                revoked: row[3] == "t",
            }),
            secret: row.and_then(|row| stage.secret_by_digest(row[4])),
        });
    }
    found
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, after) = self.connections;
        writeln!(f, "{}", self.figures)?;
        let Traffic { statements, bytes } = self.traffic;
        writeln!(
            f,
            "  Postgres: {statements} statements, {bytes} bytes both ways"
        )?;
        write!(f, "  connections: {after} of at most {most}")?;
        if let Some(toothless) = self.toothless {
            write!(f, "\n  NOTHING PROVEN: {toothless}")?;
        }
        let mut breaches = std::collections::BTreeMap::new();
        for violation in &self.violations {
            *breaches.entry(violation.breach).or_insert(0) += 1;
        }
        for (breach, times) in &breaches {
            write!(f, "\n  BROKEN: {breach:?}, {times} times")?;
        }
        for breach in breaches.keys() {
            let mut examples = self.violations.iter().filter(|v| v.breach == *breach);
            for violation in examples.by_ref().take(3) {
                write!(f, "\n    {violation}")?;
            }
        }
        Ok(())
    }
}
