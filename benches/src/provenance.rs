//! Whether figures may stand on one page.

use crate::record::Results;

/// What is wrong with where the results come from. Of a quick run, whose figures mean nothing
/// anyway, only that it is mixed with another.
pub fn faults(results: &Results) -> Vec<String> {
    let machines = &results.machines;
    let mut faults = Vec::new();
    if machines.len() > 1 {
        let lines: Vec<String> = machines
            .iter()
            .map(|machine| format!("{machine:?}"))
            .collect();
        faults.push(format!(
            "the results come from {} machines, commits or kinds of run: {}",
            lines.len(),
            lines.join("; ")
        ));
    }
    let changed = |commit: &str| commit.ends_with(CHANGED);
    for machine in machines {
        if !machine.quick && changed(&machine.commit) {
            faults.push(format!(
                "nobody else has what was measured: commit {}",
                machine.commit
            ));
        }
    }
    faults
}

/// What stands behind the commit of a work tree that differs from it.
pub(crate) const CHANGED: &str = " and changes";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn machine(commit: &str, quick: bool) -> Machine {
        Machine {
            processor: "one".to_owned(),
            cores: 2,
            sha_instructions: true,
            system: "Linux 6.18".to_owned(),
            rustc: "rustc 1.95.0".to_owned(),
            commit: commit.to_owned(),
            quick,
        }
    }

    fn faults_of(machines: &[Machine]) -> Vec<String> {
        let machines = machines.to_vec();
        faults(&Results {
            machines,
            ..Results::default()
        })
    }

    #[test]
    fn one_machine_and_a_commit_that_others_have() {
        assert!(faults_of(&[machine("abc", false)]).is_empty());
        assert!(faults_of(&[machine("abc and changes", true)]).is_empty());
    }

    #[test]
    fn a_work_tree_with_changes_is_named() {
        let faults = faults_of(&[machine("abc and changes", false)]);
        assert_eq!(
            faults,
            ["nobody else has what was measured: commit abc and changes"]
        );
    }

    #[test]
    fn results_of_several_runs_are_named() {
        let faults = faults_of(&[machine("abc", false), machine("def", false)]);
        assert!(
            faults[0].starts_with("the results come from 2 "),
            "{faults:?}"
        );
        let mixed = faults_of(&[machine("abc", false), machine("abc", true)]);
        assert_eq!(mixed.len(), 1);
    }
}
