//! `alike completions`.

use crate::args::Cli;
use clap::CommandFactory;

pub(crate) fn run(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "alike", &mut script);
    crate::printer::lines(String::from_utf8_lossy(&script).trim_end())
}
