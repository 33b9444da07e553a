//! The page that the tables stand in, each between two markers.

use std::fs;
use std::io;
use std::path::PathBuf;

pub(crate) fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/scaling.md")
}

pub(crate) fn read() -> io::Result<String> {
    fs::read_to_string(path())
}

/// What stands in the page between the markers of `name`.
pub(crate) fn block<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (begin, end) = markers(name);
    let (_, rest) = page.split_once(&begin)?;
    let (block, _) = rest.split_once(&end)?;
    Some(block)
}

/// The page with another block between the markers of `name`.
pub(crate) fn with_block(page: &str, name: &str, block: &str) -> Option<String> {
    let (begin, end) = markers(name);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{block}{end}{after}"))
}

fn markers(name: &str) -> (String, String) {
    (
        format!("<!-- simulated: {name} -->\n\n"),
        format!("\n<!-- end of {name} -->"),
    )
}
