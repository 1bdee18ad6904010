//! `model`: the ownership protocol in every order of events.

use crate::overrides;
use simulations::model;
use std::process::ExitCode;

/// Checks every configuration of the model.
pub fn run(steps: bool) -> ExitCode {
    let mut all_expected = true;
    for report in model::check_all(&overrides::real_time) {
        println!("{report}");
        all_expected &= report.is_as_expected();
        if steps || !report.is_as_expected() {
            report.steps().iter().zip(1..).for_each(|(step, number)| println!("  {number:>2}. {step}"));
        }
    }
    if all_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
