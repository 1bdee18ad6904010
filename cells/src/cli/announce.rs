//! What a command says that runs nodes, once they take work.

use crate::{boot::Ready, telemetry::Telemetry};
use std::io::{IsTerminal, Write};

/// Says that nodes are ready: a banner for people, a line for programs, who find the sign-in link in the log by then.
/// A closed stdout is no reason to stop.
pub(super) fn announce(ready: &Ready, sign_in: Option<&str>, telemetry: &Telemetry) {
    let mut stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    if let (Some(link), false) = (sign_in, terminal) {
        tracing::info!(link, "sign in once by this link");
    }
    let url = &ready.base_url;
    tracing::info!(url, "ready");
    telemetry.flush();
    let said = if terminal {
        writeln!(stdout, "{}", ready)
            .and_then(|()| sign_in.iter().try_for_each(|link| writeln!(stdout, "  sign in   {link}")))
    } else {
        writeln!(stdout, "{}", ready.line())
    };
    if let Err(error) = said.and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "nobody reads stdout");
    }
}
