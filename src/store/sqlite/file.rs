//! The file that was opened, and whether it is still the one at its path.
//!
//! A process that has a file open does not notice when it is removed or another is put in its place:
//! it would go on reading, and acknowledge writes that are gone when it ends, while other processes
//! open the new one. So every operation asks first, which takes a few microseconds.

use std::path::Path;
use std::sync::Arc;

use crate::store::{StoreError, StoreErrorKind};

/// What tells one file from another under the same name. Nothing, where the platform does not
/// say; Windows does not let an open file be replaced.
type Identity = Option<(u64, u64)>;

#[derive(Clone, Debug)]
pub(super) struct DatabaseFile {
    /// As it was given.
    path: Arc<Path>,
    /// Also where the process later changes its folder.
    absolute: Arc<Path>,
    identity: Identity,
}

impl DatabaseFile {
    /// The file at this path, which has just been opened.
    pub(super) fn opened(path: &Path) -> Result<Self, StoreError> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self {
            identity: identity(&absolute)?,
            path: Arc::from(path),
            absolute: Arc::from(absolute),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if the path leads nowhere, or to another file.
    pub(super) fn must_be_in_place(&self) -> Result<(), StoreError> {
        if identity(&self.absolute)? == self.identity {
            return Ok(());
        }
        let context = "another file has taken the place of the database: put it back, or restart";
        Err(StoreError::new(StoreErrorKind::Unavailable, context))
    }
}

fn identity(path: &Path) -> Result<Identity, StoreError> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let context = "looking for the file of the database";
        StoreError::new(StoreErrorKind::Unavailable, context).caused_by(error)
    })?;
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt as _;
        Some((metadata.dev(), metadata.ino()))
    };
    #[cfg(not(unix))]
    let identity = {
        let _ = metadata;
        None
    };
    Ok(identity)
}
