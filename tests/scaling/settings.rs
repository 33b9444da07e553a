//! What the simulation takes from the crate is what the crate has.

use crate::simulation::moment::float;
use crate::simulation::settings;

#[test]
fn the_settings_are_those_of_the_crate() {
    let builder = include_str!("../../src/keyring/builder/mod.rs");
    let rhythm = include_str!("../../src/keyring/builder/refuse.rs");
    let cache = include_str!("../../src/keyring/cache.rs");
    let cooldown = include_str!("../../src/keyring/cooldown.rs");
    let epoch = include_str!("../../src/keyring/epoch.rs");
    let sync = include_str!("../../src/keyring/sync.rs");
    let taken = [
        (settings::POLL, 1.0, rhythm, "Duration::from_secs(1).min("),
        (
            settings::MAX_STALENESS,
            5.0,
            builder,
            "max_staleness: Duration::from_secs(5)",
        ),
        (
            settings::LOOK_UP_DEADLINE,
            0.5,
            rhythm,
            "Duration::from_millis(500).min(",
        ),
        (
            settings::LAST_USED_EVERY,
            300.0,
            builder,
            "last_used_every: Duration::from_mins(5)",
        ),
        (
            float(settings::WAITING_FOR_NEW as u64),
            1_500.0,
            builder,
            "waiting_requests: 2_000",
        ),
        (
            settings::TIME_TO_LIVE,
            600.0,
            cache,
            "Duration = Duration::from_mins(10)",
        ),
        (
            settings::PAUSE,
            0.1,
            cooldown,
            "PAUSE: Duration = Duration::from_millis(100)",
        ),
        (
            settings::NUDGE_GAP,
            0.01,
            sync,
            "NUDGE_GAP: Duration = Duration::from_millis(10)",
        ),
        (
            settings::SHARDS.into(),
            65_536.0,
            epoch,
            "SHARDS: usize = 1 << 16",
        ),
    ];
    for (here, value, source, there) in taken {
        assert!((here - value).abs() < f64::EPSILON, "{here} is not {there}");
        assert!(source.contains(there), "the crate says no longer {there}");
    }
}
