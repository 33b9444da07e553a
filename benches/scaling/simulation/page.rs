//! The page that the tables stand in, each between two markers.

use std::path::PathBuf;
use std::{fmt, fs, io};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/scaling.md")
    }

    pub(crate) fn read() -> io::Result<Self> {
        fs::read_to_string(Self::path()).map(Self)
    }

    /// What stands between the markers of a table.
    pub(crate) fn table(&self, name: &str) -> io::Result<&str> {
        let (begin, end) = markers(name);
        let (_, rest) = self.0.split_once(&begin).ok_or_else(|| missing(name))?;
        let (table, _) = rest.split_once(&end).ok_or_else(|| missing(name))?;
        Ok(table)
    }

    /// Puts another one between them.
    pub(crate) fn put(&mut self, name: &str, table: &str) -> io::Result<()> {
        let (begin, end) = markers(name);
        let (before, rest) = self.0.split_once(&begin).ok_or_else(|| missing(name))?;
        let (_, after) = rest.split_once(&end).ok_or_else(|| missing(name))?;
        self.0 = format!("{before}{begin}{table}{end}{after}");
        Ok(())
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn markers(name: &str) -> (String, String) {
    (
        format!("<!-- simulated: {name} -->\n\n"),
        format!("\n<!-- end of {name} -->"),
    )
}

fn missing(name: &str) -> io::Error {
    io::Error::other(format!("the page has no place for the table {name:?}"))
}
