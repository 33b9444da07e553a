//! What the README shows is what the examples run.

const README: &str = include_str!("../README.md");

#[test]
fn the_first_example_is_the_quickstart() {
    let quickstart = include_str!("../examples/quickstart.rs");
    let (_, rest) = README
        .split_once("```rust\n")
        .expect("the README opens with Rust");
    let (example, _) = rest.split_once("```").expect("which ends");
    assert_eq!(example, quickstart);
    assert!(quickstart.lines().count() <= 40, "short enough to be read");
}

#[test]
fn the_feature_tables_name_every_feature() {
    let manifest = include_str!("../Cargo.toml");
    let (_, rest) = manifest
        .split_once("[features]")
        .expect("there are features");
    let (features, _) = rest.split_once("\n[").expect("which end");
    let crate_docs = include_str!("../src/lib.rs");
    for line in features
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'))
    {
        let (name, _) = line.split_once(" = ").expect("a name");
        let row = format!("| `{name}` |");
        assert!(
            name == "default" || (README.contains(&row) && crate_docs.contains(&row)),
            "{name} is in no table"
        );
    }
}
