//! What a person is told: results on stdout, everything else on stderr.

use crate::args::Global;
use crate::bars::away;
use alike::names::{printable, printable_lines};
use std::borrow::Cow;
use std::io::{IsTerminal, Write};

/// Writes a line to stdout; a closed pipe is an error that `main` forgives. Whatever names are in it, on a terminal it stays one line.
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    write(text.as_ref(), printable)
}

/// Writes a line after an empty one.
pub(crate) fn heading(text: impl AsRef<str>) -> anyhow::Result<()> {
    line("")?;
    line(text)
}

/// Writes text of several lines, none of which holds names.
pub(crate) fn lines(text: impl AsRef<str>) -> anyhow::Result<()> {
    write(text.as_ref(), |text| printable_lines(text).into())
}

fn write(text: &str, on_terminal: impl Fn(&str) -> Cow<'_, str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    // A file or another program gets names as they are.
    let text = if out.is_terminal() { on_terminal(text) } else { text.into() };
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

/// Writes text of several lines to stderr.
pub(crate) fn say_lines(text: &str) {
    let _ = away(|| writeln!(std::io::stderr().lock(), "{}", printable_lines(text)));
}

/// A remark on stderr, unless the user wants quiet.
pub(crate) fn note(global: &Global, text: impl AsRef<str>) {
    if !global.quiet {
        say(text);
    }
}
