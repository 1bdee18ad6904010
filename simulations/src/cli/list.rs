//! `list`: everything that has a name.

use simulations::{faults::KINDS, plan::workload::WORKLOADS, promises, scenarios::SCENARIOS};
use std::process::ExitCode;

/// Prints it.
pub fn run() -> ExitCode {
    println!("scenarios");
    SCENARIOS.iter().for_each(|scenario| println!("  {:<24} {}", scenario.name, scenario.about));
    println!("workloads of the weather");
    WORKLOADS.iter().for_each(|workload| println!("  {:<24} {}", workload.name, workload.about));
    println!("faults of the weather");
    KINDS.iter().for_each(|kind| println!("  {:<24} {}", kind.name, kind.about));
    println!("promises");
    promises::ALL.iter().for_each(|promise| println!("  {:<24} {}", promise.name, promise.says));
    ExitCode::SUCCESS
}
