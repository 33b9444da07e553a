//! The long run of the fault runner: `cargo run --release --example faults -- --minutes 10 --seed 7
//! --replicas 3`. What it does and prints is explained in `docs/faults.md`.

#[cfg(unix)]
#[path = "../canary/mod.rs"]
mod canary;
#[cfg(unix)]
mod long_run;
#[cfg(unix)]
mod runner;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    long_run::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("faults: processes are stopped and killed by signals, which this system has not");
}
