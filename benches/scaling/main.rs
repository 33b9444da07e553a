//! What freshness costs as replicas, keys and revokes grow: the tables of `docs/scaling.md`.
//!
//! ```sh
//! cargo bench --bench scaling              # prints the tables, in some minutes
//! cargo bench --bench scaling -- --write   # and puts them into the page
//! cargo bench --bench scaling -- --check   # or fails if other ones stand there
//! ```
//!
//! It fails as well where simulation and arithmetic contradict each other. Replicas hold the
//! crate's own freshness core; what is around it (memory, look-ups, syncs, the database) is
//! modelled, and the page says how. All chance has a seed, so that a run repeats itself.

mod simulation;

use std::error::Error;

use simulation::{Page, tables};

fn main() -> Result<(), Box<dyn Error>> {
    let asked = |flag| std::env::args().any(|argument| argument == flag);
    let (write, check) = (asked("--write"), asked("--check"));
    let mut page = Page::read()?;
    let mut wrong = Vec::new();
    for table in tables::all() {
        println!("{}:\n", table.name);
        let mut text = table.head();
        print!("{text}");
        for scenario in &table.rows {
            let cells = table.cells(scenario);
            let line = format!("| {} |\n", cells.join(" | "));
            print!("{line}");
            text.push_str(&line);
            wrong.extend(table.contradictions(scenario, &cells));
        }
        println!();
        if write {
            page.put(table.name, &text)?;
        } else if check && page.table(table.name)? != text {
            wrong.push(format!(
                "{:?} is another one in docs/scaling.md",
                table.name
            ));
        }
    }
    if write {
        std::fs::write(Page::path(), page.to_string())?;
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; ").into())
    }
}
