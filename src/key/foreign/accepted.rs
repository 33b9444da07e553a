//! The foreign formats that a keyring accepts, beside its own.

use super::ForeignFormat;
use crate::key::format::InvalidFormat;
use crate::key::shape::Shape;
use crate::key::{Environment, KeyFormat};

/// A foreign format that a keyring accepts.
#[derive(Clone, Debug)]
pub(in crate::key) struct Accepted {
    format: ForeignFormat,
    pub(in crate::key) environment: Environment,
}

impl Accepted {
    pub(in crate::key) fn shape(&self) -> Shape<'_> {
        self.format.shape()
    }
}

impl KeyFormat {
    /// The same keys, and these beside them.
    pub(crate) fn with_foreign(
        mut self,
        formats: impl IntoIterator<Item = ForeignFormat>,
    ) -> Result<Self, InvalidFormat> {
        let mut accepted: Vec<Accepted> = Vec::new();
        for format in formats {
            let shape = format.shape();
            for environment in self.environments() {
                let ours = self.names(environment);
                if shape.overlaps(&Shape::of_our_own(&ours)) {
                    let (foreign, other) = (format.prefix.into(), ours);
                    return Err(InvalidFormat::ForeignOverlap { foreign, other });
                }
            }
            if let Some(other) = accepted.iter().find(|it| shape.overlaps(&it.shape())) {
                let other = other.format.prefix.to_string();
                let foreign = format.prefix.into();
                return Err(InvalidFormat::ForeignOverlap { foreign, other });
            }
            let environment = match &format.environment {
                None => self.default_environment().clone(),
                Some(declared) if self.environments().contains(declared) => declared.clone(),
                Some(other) => return Err(InvalidFormat::ForeignEnvironment(other.clone())),
            };
            accepted.push(Accepted {
                format,
                environment,
            });
        }
        self.foreign = accepted.into();
        Ok(self)
    }

    /// The environment of a foreign key.
    #[cold]
    pub(in crate::key) fn foreign(&self, presented: &[u8]) -> Option<&Environment> {
        let mut formats = self.foreign.iter();
        let format = formats.find(|format| format.shape().includes(presented))?;
        Some(&format.environment)
    }

    /// Whether `presented` begins as foreign keys do.
    pub(in crate::key) fn starts_like_foreign(&self, presented: &[u8]) -> bool {
        let mut formats = self.foreign.iter();
        formats.any(|format| presented.starts_with(format.format.prefix.as_bytes()))
    }

    /// What all keys of this environment begin with.
    pub(in crate::key) fn names(&self, environment: &Environment) -> String {
        format!("{}_{environment}_", self.prefix())
    }
}
