//! What a person is told: results on stdout, everything else on stderr.

use crate::args::Global;
use crate::bars::away;
use alike::names::printable;
use std::io::{IsTerminal, Write};

/// Writes a line to stdout; a closed pipe is an error that `main` forgives.
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    // A file or another program gets names as they are.
    let text = if out.is_terminal() { printable(text.as_ref()) } else { text.as_ref().into() };
    away(|| writeln!(out, "{text}").and_then(|()| out.flush()))?;
    Ok(())
}

/// Writes a result to stdout as one JSON object.
pub(crate) fn json(result: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(result)?)
}

/// Writes a line to stderr. Who has closed it wants to hear nothing, which is no reason to stop work.
pub(crate) fn say(text: impl AsRef<str>) {
    let _ = away(|| writeln!(std::io::stderr().lock(), "{}", printable(text.as_ref())));
}

/// A remark on stderr, unless the user wants quiet.
pub(crate) fn note(global: &Global, text: impl AsRef<str>) {
    if !global.quiet {
        say(text);
    }
}
