//! The world can be replayed: `waggle-sim` gives the same bytes for a seed in every process.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
};

/// `waggle-sim`, built beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test.ancestors().nth(2).expect("tests are built into target/<profile>/deps");
    let program = target.join("waggle-sim");
    assert!(program.exists(), "{} is not built; `cargo build --bins` builds it", program.display());
    program
}

/// Starts seeds of a scenario; `hours` may be empty. `environment` replaces all there is.
fn start(program: &Path, scenario: &str, hours: &str, seeds: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(program)
        .args(["run", "--json", "--scenario", scenario, "--seeds", seeds])
        .args((!hours.is_empty()).then_some(["--hours", hours]).into_iter().flatten())
        .env_clear()
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("waggle-sim starts")
}

/// What it printed, one line a seed.
fn printed(child: Child) -> Vec<String> {
    let output = child.wait_with_output().expect("waggle-sim ends");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{complaints}", output.status);
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// A name that is in no binary unless it was built to be tested: the shipped one, and the simulator of every day.
#[test]
fn what_ships_has_no_planted_bugs() {
    let listed = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/src/planted.rs"));
    let listed = listed.expect("the list of planted bugs");
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| line.contains("\" breaks \""))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(names.len() >= 25, "{} planted bugs", names.len());
    for binary in [program(), program().with_file_name("waggle")] {
        let bytes = fs::read(&binary).expect("a binary that was built beside this test");
        let text = String::from_utf8_lossy(&bytes);
        for name in &names {
            assert!(!text.contains(name), "{} knows the planted bug {name}", binary.display());
        }
    }
    let asked = Command::new(program()).arg("bugs").output().expect("waggle-sim starts");
    assert!(!asked.status.success(), "a build without planted bugs has none to find");
}

fn field<'a>(line: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    line.get(name).unwrap_or_else(|| panic!("{line} has no {name}"))
}

/// Runs the seeds twice, in processes with another path and environment, and compares every byte.
fn twice(scenario: &str, hours: &str, seeds: &str) -> Vec<serde_json::Value> {
    let program = program();
    let elsewhere =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{scenario}-{hours}-{}", process::id()));
    let other = elsewhere.join("a/longer/path/to/another-name");
    fs::create_dir_all(other.parent().expect("it has one")).expect("a directory for the other name");
    fs::hard_link(&program, &other).expect("another name for the program");
    let here = start(&program, scenario, hours, seeds, &[("PATH", "/bin"), ("TZ", "Asia/Tokyo")]);
    let long = "x".repeat(5000);
    let there = start(&other, scenario, hours, seeds, &[("RUST_LOG", "trace"), ("LONG", &long)]);
    let (here, there) = (printed(here), printed(there));
    fs::remove_dir_all(&elsewhere).expect("the other name is removed");
    assert_eq!(here, there, "the same seeds gave other bytes in another process");
    here.iter().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn actors_that_panic_on_machines_that_crash_replay_to_the_byte() {
    let lines = twice("yard", "0.25", "1..4");
    let hashes: BTreeSet<String> = lines.iter().map(|line| field(line, "hash").to_string()).collect();
    assert_eq!(hashes.len(), 4, "each seed has its own history");
    for line in &lines {
        assert!(field(line, "messages").as_u64() > Some(10_000), "{line}");
        assert_eq!(field(line, "faults"), 2, "{line}");
    }
}

#[test]
fn http_and_websocket_over_bad_streams_replay_to_the_byte() {
    for line in twice("echo", "0.25", "1..2") {
        assert!(field(&line, "messages").as_u64() > Some(2_000), "{line}");
        assert_eq!(field(&line, "faults"), 6, "{line}");
    }
}

#[test]
fn a_cell_whose_owners_die_and_freeze_replays_to_the_byte() {
    for line in twice("company", "0.02", "1..4") {
        assert!(field(&line, "ok").as_bool() == Some(true), "{line}");
    }
}

#[test]
fn nodes_that_gossip_on_bad_paths_replay_to_the_byte() {
    for line in twice("membership", "0.05", "1..4") {
        assert!(field(&line, "ok").as_bool() == Some(true), "{line}");
    }
}

#[test]
fn twenty_days_of_weather_replay_to_the_byte() {
    let lines = twice("weather", "", "1..20");
    let hashes: BTreeSet<String> = lines.iter().map(|line| field(line, "hash").to_string()).collect();
    assert_eq!((lines.len(), hashes.len()), (20, 20), "each seed has its own history");
    let sum = |name: &str| lines.iter().filter_map(|line| field(line, name).as_u64()).sum::<u64>();
    assert!(sum("messages") > 5_000, "{} messages", sum("messages"));
    assert!(sum("faults") > 100, "{} faults", sum("faults"));
}
