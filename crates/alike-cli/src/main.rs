//! The binary `alike`: arguments, then settings, then one of [`commands`].

mod args;
mod bars;
mod collections;
mod commands;
mod config;
mod encoders;
mod hints;
mod models;
mod printer;
mod renamed;
mod schema;

use args::Cli;
use clap::{CommandFactory, FromArgMatches};
use printer::{say, say_lines};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A decoder's panic is told as what is wrong with its file.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !alike::guard::is_guarded() {
            loud(panic);
        }
    }));
    let argv = match config::arguments(std::env::args_os().collect()) {
        Ok(argv) => argv,
        Err(e) => {
            say(format!("error: {e:#}"));
            return ExitCode::from(2);
        }
    };
    let cli = match Cli::command().try_get_matches_from(&argv).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        // Help and version are answers, not errors; a wrong usage ends with 2.
        Err(e) => {
            match renamed::flag(&e, &argv) {
                Some(instead) => say(format!("error: {instead}")),
                // What was typed is part of the message: control characters in it are not for a terminal.
                None if e.use_stderr()
                    && argv.iter().any(|word| word.to_string_lossy().contains(char::is_control)) =>
                {
                    say_lines(e.render().to_string().trim_end());
                }
                None => e.print().unwrap_or_default(),
            }
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has enough of it: no error.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            let hint = hints::hint(&e).map_or(String::new(), |hint| format!("; {hint}"));
            say(format!("error: {e:#}{hint}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    cli.global.limit.unwrap_or_default().install();
    if let Some(threads) = cli.global.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    #[cfg(feature = "parquet")]
    decode_parquet_apart();
    bars::watch(&cli.global);
    let done = cli.command.run(&cli.global);
    // Whatever was not printed after leaves no line behind.
    bars::away(|| ());
    done
}

/// Parquet files are decoded by this program, in a process of its own.
#[cfg(feature = "parquet")]
fn decode_parquet_apart() {
    // Where the system does not tell, whoever reads such a file learns that the process cannot be started.
    let program = std::env::current_exe().unwrap_or_else(|_| "alike".into());
    alike::data::parquet::decode_by(program, ["data", "read-parquet"].map(Into::into).to_vec());
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
