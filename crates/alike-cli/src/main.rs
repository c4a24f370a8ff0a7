//! The binary `alike`: arguments, then settings, then one of [`commands`].

mod args;
mod commands;
mod config;
mod hints;
mod printer;
mod renamed;
mod schema;
mod using;

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use printer::say;
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
    match &cli.command {
        Command::Data(data) => commands::data::run(data, &cli.global),
        Command::Model(model) => commands::model::run(model, &cli.global),
        Command::Train(train) => commands::train::run(train, &cli.global),
        Command::Tune(tune) => commands::tune::run(tune, &cli.global),
        Command::Losses(losses) => commands::losses::run(losses, &cli.global),
        Command::Eval(eval) => commands::eval::run(eval, &cli.global),
        Command::Compare(compare) => commands::compare::run(compare, &cli.global),
        Command::Report(report) => commands::report::run(report, &cli.global),
        Command::Demo(demo) => commands::demo::run(demo, &cli.global),
        Command::Embed(embed) => commands::embed::run(embed, &cli.global),
        Command::Search(search) => commands::search::run(search, &cli.global),
        Command::Classify(classify) => commands::classify::run(classify, &cli.global),
        Command::Enroll(enroll) => commands::enroll::run(enroll, &cli.global),
        Command::Verify(verify) => commands::verify::run(verify, &cli.global),
        Command::Anomaly(anomaly) => commands::anomaly::run(anomaly, &cli.global),
        Command::Cluster(cluster) => commands::cluster::run(cluster, &cli.global),
        Command::Health(health) => commands::health::run(health, &cli.global),
        Command::Map(map) => commands::map::run(map, &cli.global),
        Command::Explain(explain) => commands::explain::run(explain, &cli.global),
        Command::Schema { verb } => commands::schema::run(verb),
        Command::Completions { shell } => commands::completions::run(*shell),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
