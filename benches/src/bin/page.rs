//! Writes `docs/performance.md` and its plots from the results in `benches/results`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use portcullis_bench::page::{FOLDER, fill};
use portcullis_bench::provenance::faults;
use portcullis_bench::record::read;

const TEMPLATE: &str = include_str!("../../performance.md");

fn main() -> ExitCode {
    let complaints = match write() {
        Ok(complaints) => complaints,
        Err(why) => vec![format!("the page cannot be written: {why}")],
    };
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Says what is wrong with the page that it has written.
fn write() -> Result<Vec<String>, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = here.join("../docs");
    let results = results(&here.join("results")).map_err(|error| error.to_string())?;
    let measured = read(&results).map_err(|error| error.to_string())?;
    let page = fill(TEMPLATE, &measured)?;
    let plots = docs.join(FOLDER);
    let written = (|| {
        // What is plotted no more goes.
        if plots.exists() {
            fs::remove_dir_all(&plots)?;
        }
        fs::create_dir_all(&plots)?;
        for (name, plot) in &page.plots {
            fs::write(plots.join(name), plot)?;
        }
        fs::write(docs.join("performance.md"), &page.text)
    })();
    written.map_err(|error: io::Error| error.to_string())?;
    println!(
        "docs/performance.md, with {} plots, from {} files",
        page.plots.len(),
        results.len()
    );
    let mut complaints: Vec<String> = faults(&measured)
        .into_iter()
        .map(|fault| format!("NOT TO BE PUBLISHED: {fault}"))
        .collect();
    // What a quick run misses says nothing.
    let quick = measured.machines.iter().any(|machine| machine.quick);
    if !quick && !page.unexplained.is_empty() {
        complaints.push(format!(
            "MISSED WITHOUT A WORD: lines {} of the budget. Say in benches/performance.md what \
             was tried, what it gave, and why the limit lies there.",
            page.unexplained.join(", ")
        ));
    }
    Ok(complaints)
}

fn results(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    paths.sort();
    Ok(paths)
}
