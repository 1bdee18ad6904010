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

/// Starts seeds of a scenario. `environment` replaces all there is.
fn start(program: &Path, scenario: &str, hours: &str, seeds: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(program)
        .args(["run", "--json", "--scenario", scenario, "--hours", hours, "--seeds", seeds])
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
fn twenty_short_histories_of_three_nodes_replay_to_the_byte() {
    let lines = twice("posts", "0.02", "1..20");
    let hashes: BTreeSet<String> = lines.iter().map(|line| field(line, "hash").to_string()).collect();
    assert_eq!((lines.len(), hashes.len()), (20, 20), "each seed has its own history");
    for line in &lines {
        assert!(field(field(line, "counts"), "fault.crash").as_u64() >= Some(10), "{line}");
    }
}

#[test]
fn three_nodes_with_everything_in_them_replay_an_hour_of_posts_to_the_byte() {
    let lines = twice("posts", "1", "1");
    let [line] = &lines[..] else { panic!("one seed, one line: {lines:?}") };
    assert!(field(line, "hours").as_f64() >= Some(1.0), "{line}");
    assert!(field(line, "messages").as_u64() > Some(12_000), "{line}");
    let counts = field(line, "counts");
    assert!(field(counts, "deliveries").as_u64() > Some(40_000), "{line}");
    for (fault, least) in [("crash", 10), ("pause", 1), ("clock", 1), ("disk", 1), ("cut", 4), ("reset", 1)] {
        assert!(field(counts, &format!("fault.{fault}")).as_u64() >= Some(least), "{fault}: {line}");
    }
}
