//! The page that the tables stand in, each between two markers.

use std::fs;
use std::io;
use std::path::PathBuf;

pub(crate) struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    pub(crate) fn read() -> io::Result<Self> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/scaling.md");
        let text = fs::read_to_string(&path)?;
        Ok(Self { path, text })
    }

    pub(crate) fn write(&self) -> io::Result<()> {
        fs::write(&self.path, &self.text)
    }

    /// What stands between the markers of a table.
    pub(crate) fn table(&self, name: &str) -> io::Result<&str> {
        let (begin, end) = markers(name);
        let (_, rest) = self.text.split_once(&begin).ok_or_else(|| missing(name))?;
        let (table, _) = rest.split_once(&end).ok_or_else(|| missing(name))?;
        Ok(table)
    }

    /// Puts another one between them.
    pub(crate) fn put(&mut self, name: &str, table: &str) -> io::Result<()> {
        let (begin, end) = markers(name);
        let (before, rest) = self.text.split_once(&begin).ok_or_else(|| missing(name))?;
        let (_, after) = rest.split_once(&end).ok_or_else(|| missing(name))?;
        self.text = format!("{before}{begin}{table}{end}{after}");
        Ok(())
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
