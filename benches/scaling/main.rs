//! What freshness costs as replicas, keys and revokes grow: the simulation behind the tables of
//! `docs/scaling.md`.
//!
//! ```sh
//! cargo bench --bench scaling              # prints the tables, in some minutes
//! cargo bench --bench scaling -- --write   # and puts them into the page
//! cargo bench --bench scaling -- --check   # or fails if other ones stand there
//! ```
//!
//! Replicas hold the crate's own freshness core; what is around it (caches, look-ups, syncs, the
//! database) is modelled, and the page says how. A run repeats itself, since all chance has a seed.
//! `tests/scaling` holds it against the arithmetic.

#[path = "../../src/keyring/freshness.rs"]
mod freshness;

mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

mod arithmetic;
mod calendar;
mod chance;
mod costs;
mod database;
mod flights;
mod following;
mod memory;
mod moment;
mod outcome;
mod page;
mod popularity;
mod replica;
mod scenario;
mod settings;
mod table;
mod tables;
mod world;

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let asked = |flag| std::env::args().any(|argument| argument == flag);
    let (write, check) = (asked("--write"), asked("--check"));
    let mut page = page::read()?;
    let mut stale = Vec::new();
    for table in tables::all() {
        println!("{}:\n", table.name);
        let mut block = table.head();
        print!("{block}");
        for scenario in &table.rows {
            let line = table.line(scenario);
            print!("{line}");
            block.push_str(&line);
        }
        println!();
        if page::block(&page, table.name) != Some(block.as_str()) {
            stale.push(table.name);
        }
        if write {
            let missing = || format!("the page has no place for the table {:?}", table.name);
            page = page::with_block(&page, table.name, &block).ok_or_else(missing)?;
        }
    }
    if write {
        fs::write(page::path(), page)?;
    } else if check && !stale.is_empty() {
        let stale = stale.join(", ");
        return Err(format!("other tables stand in docs/scaling.md: {stale}").into());
    }
    Ok(())
}
