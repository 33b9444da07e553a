//! Which versions are in this build, from the lock file that it was built with.

use serde::Deserialize;

use crate::record::Recorder;

const LOCK: &str = include_str!("../Cargo.lock");
const MANIFEST: &str = include_str!("../Cargo.toml");

/// Who is measured or stands below it: the package that names it, it, and what to say of it.
const SHOWN: [(&str, &str, &str); 8] = [
    ("portcullis-bench", "axum", ""),
    ("portcullis-bench", "tower-http", ""),
    ("portcullis-bench", "moka", ""),
    ("portcullis", "quick_cache", ""),
    ("portcullis-bench", "sha2", ""),
    ("portcullis-bench", "jsonwebtoken", ""),
    ("jsonwebtoken", "hmac", " (below jsonwebtoken)"),
    ("jsonwebtoken", "ed25519-dalek", " (below jsonwebtoken)"),
];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Notes the versions that the figures depend on.
pub fn note(recorder: &mut Recorder) {
    let lock: Lock = toml::from_str(LOCK).expect("cargo wrote it");
    for (dependent, name, what) in SHOWN {
        let version = lock.version(dependent, name);
        let version = version.unwrap_or_else(|| panic!("{dependent} names no {name}"));
        // It has two implementations of its cryptography, and which one it is a feature says.
        let features = if name == "jsonwebtoken" {
            format!(" ({})", features(MANIFEST, name))
        } else {
            String::new()
        };
        recorder.tool(name, &format!("{version}{features}{what}"));
    }
}

/// The features that a dependency is asked for with.
fn features(manifest: &str, name: &str) -> String {
    let manifest: toml::Table = toml::from_str(manifest).expect("cargo reads it");
    let features = manifest["dependencies"][name]["features"].as_array();
    let features = features.into_iter().flatten();
    let names: Vec<&str> = features.filter_map(toml::Value::as_str).collect();
    names.join(", ")
}

impl Lock {
    /// The version of `name` that the newest `dependent` is built with.
    fn version(&self, dependent: &str, name: &str) -> Option<&str> {
        let dependent = self.package.iter().rfind(|own| own.name == dependent)?;
        let mut named = dependent.dependencies.iter().map(|own| own.split(' '));
        let mut words = named.find(|words| words.clone().next() == Some(name))?;
        // Which one is said only where there are several.
        let which = words.nth(1);
        let mut packages = self.package.iter().filter(|own| own.name == name);
        let found = packages.find(|own| which.is_none_or(|which| own.version == which))?;
        Some(&found.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_versions_that_of_the_dependent_is_taken() {
        let lock: Lock = toml::from_str(
            r#"
            [[package]]
            name = "bench"
            version = "0.0.0"
            dependencies = ["axum", "sha2 0.11.1"]

            [[package]]
            name = "axum"
            version = "0.8.9"

            [[package]]
            name = "sha2"
            version = "0.10.9"

            [[package]]
            name = "sha2"
            version = "0.11.1"
            "#,
        )
        .unwrap();
        assert_eq!(lock.version("bench", "axum"), Some("0.8.9"));
        assert_eq!(lock.version("bench", "sha2"), Some("0.11.1"));
        assert_eq!(lock.version("bench", "moka"), None);
    }

    #[test]
    fn features_are_those_of_the_manifest() {
        let manifest = "[dependencies]\njwt = { version = \"1\", features = [\"a\", \"b\"] }";
        assert_eq!(features(manifest, "jwt"), "a, b");
        assert!(features(MANIFEST, "jsonwebtoken").contains("crypto"));
    }

    #[test]
    fn all_that_are_shown_are_in_the_build() {
        let lock: Lock = toml::from_str(LOCK).unwrap();
        for (dependent, name, _) in SHOWN {
            assert!(
                lock.version(dependent, name).is_some(),
                "{dependent}: {name}"
            );
        }
    }
}
