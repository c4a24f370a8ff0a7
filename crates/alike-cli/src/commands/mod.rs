//! One verb a file.

use crate::args::Global;
use clap::Subcommand;
pub(crate) mod anomaly;
pub(crate) mod classify;
pub(crate) mod cluster;
#[cfg(feature = "collections")]
pub(crate) mod collection;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod duplicates;
pub(crate) mod embed;
#[cfg(feature = "onnx")]
pub(crate) mod encoders;
pub(crate) mod enroll;
pub(crate) mod eval;
pub(crate) mod explain;
#[cfg(feature = "onnx")]
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod losses;
pub(crate) mod map;
pub(crate) mod model;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod search;
#[cfg(feature = "collections")]
mod search_collection;
pub(crate) mod train;
pub(crate) mod tune;
pub(crate) mod verify;

use crate::printer::note;
use alike::data::{DataPaths, Dataset, Keep};
use alike::{files, own_files};
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List, download and inspect data sets
    Data(data::DataCommand),
    /// Show a network: layers, shapes, parameters and cost
    Model(model::ModelCommand),
    /// Train an embedding
    Train(Box<train::TrainArgs>),
    /// Search for the loss, its parameters and the learning rate that suit a data set
    Tune(tune::TuneArgs),
    /// List the losses with their parameters and uses
    Losses(losses::LossesArgs),
    /// Evaluate a model: its embeddings against raw pixels
    Eval(Box<eval::EvalArgs>),
    /// Compare models on the same images, with intervals and p-values
    Compare(compare::CompareArgs),
    /// Write a model's report: one HTML page, and its figures as SVG and PNG
    Report(report::ReportArgs),
    /// Embed images with a model
    Embed(embed::EmbedArgs),
    /// Encoders that others trained: list, add, show, check and remove them
    #[cfg(feature = "onnx")]
    Encoders(encoders::EncodersCommand),
    /// Write a run's network as an ONNX file, which other programs run and alike takes as an encoder
    #[cfg(feature = "onnx")]
    Export(export::ExportArgs),
    /// Collections: embeddings in a file, kept equal to folders, searched, corrected and filtered
    #[cfg(feature = "collections")]
    Collection(collection::CollectionCommand),
    /// Find the images that are most similar to a query
    Search(search::SearchArgs),
    /// Classify images by their nearest known images, or say that the class is unknown
    Classify(classify::ClassifyArgs),
    /// Add a class to a gallery from a handful of images, without training
    Enroll(enroll::EnrollArgs),
    /// Decide whether two images are of the same class
    Verify(verify::VerifyArgs),
    /// Find images that are unlike normal ones
    Anomaly(anomaly::AnomalyArgs),
    /// Cluster images by their embeddings
    Cluster(cluster::ClusterArgs),
    /// Find pictures that are there more than once: copies, resized, rotated or altered ones, bursts and look-alikes
    Duplicates(Box<duplicates::DuplicatesArgs>),
    /// Find wrong labels, duplicates and confused classes in a run's data
    Health(health::HealthArgs),
    /// Write an interactive map of images as an HTML page
    Map(map::MapArgs),
    /// Show which pixels make two images similar or different
    Explain(explain::ExplainArgs),
    /// Train with and without one class, evaluate both and write the report
    Demo(demo::DemoArgs),
    /// Print the JSON Schema of what a verb prints with --json
    #[command(after_help = "Examples:
  alike schema search
  alike schema eval few-shot")]
    Schema {
        /// The verb, as it is typed
        #[arg(required = true, value_name = "VERB")]
        verb: Vec<String>,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  alike completions bash > ~/.local/share/bash-completion/completions/alike")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Command::Data(data) => data::run(data, global),
            Command::Model(model) => model::run(model, global),
            Command::Train(train) => train::run(train, global),
            Command::Tune(tune) => tune::run(tune, global),
            Command::Losses(losses) => losses::run(losses, global),
            Command::Eval(eval) => eval::run(eval, global),
            Command::Compare(compare) => compare::run(compare, global),
            Command::Report(report) => report::run(report, global),
            Command::Demo(demo) => demo::run(demo, global),
            Command::Embed(embed) => embed::run(embed, global),
            #[cfg(feature = "onnx")]
            Command::Encoders(encoders) => encoders::run(encoders, global),
            #[cfg(feature = "collections")]
            Command::Collection(collection) => collection::run(collection, global),
            Command::Search(search) => search::run(search, global),
            Command::Classify(classify) => classify::run(classify, global),
            #[cfg(feature = "onnx")]
            Command::Export(export) => export::run(export, global),
            Command::Enroll(enroll) => enroll::run(enroll, global),
            Command::Verify(verify) => verify::run(verify, global),
            Command::Anomaly(anomaly) => anomaly::run(anomaly, global),
            Command::Cluster(cluster) => cluster::run(cluster, global),
            Command::Duplicates(duplicates) => duplicates::run(duplicates, global),
            Command::Health(health) => health::run(health, global),
            Command::Map(map) => map::run(map, global),
            Command::Explain(explain) => explain::run(explain, global),
            Command::Schema { verb } => schema::run(verb),
            Command::Completions { shell } => completions::run(*shell),
        }
    }
}

/// Where data sets are looked for, as flags and environment say.
pub(crate) fn data_paths(global: &Global) -> DataPaths {
    let usual = DataPaths::from_env();
    DataPaths {
        data_dir: global.data_dir.clone().or(usual.data_dir),
        cache: global.cache_dir.clone(),
        mirror: global.mirror.clone(),
        offline: global.offline,
        keep: if global.no_cache {
            Keep::Memory
        } else {
            Keep::Disk { limit: global.cache_limit.saturating_mul(1 << 30) }
        },
        catalogues: crate::collections::catalogues(),
    }
}

/// What a user should know of a data set, and of pictures that were left out.
pub(crate) fn remark(data: &Dataset, global: &Global) {
    for text in &data.notes {
        note(global, format!("data: {text}"));
    }
    for failure in data.skipped.iter().take(SHOWN_FAILURES) {
        note(global, format!("  left out: {}: {}", failure.name, failure.why));
    }
    if data.skipped.len() > SHOWN_FAILURES {
        note(global, format!("  and {} more", data.skipped.len() - SHOWN_FAILURES));
    }
}

/// Failures that are told one by one.
const SHOWN_FAILURES: usize = 20;

/// Refuses to write over what is there, unless told to.
fn refuse_existing(paths: &[&Path], force: bool) -> anyhow::Result<()> {
    match paths.iter().find(|path| !force && path.exists()) {
        Some(path) => {
            anyhow::bail!("{} exists already; name another, or give --force to replace it", path.display())
        }
        None => Ok(()),
    }
}

/// A table of results as the user wants it: for a spreadsheet, if that was asked for. Tables that Alike reads again never are.
fn as_wanted(csv: Vec<u8>, global: &Global) -> std::io::Result<Vec<u8>> {
    if global.spreadsheet { own_files::for_spreadsheets(&csv) } else { Ok(csv) }
}

/// Writes a table of results.
pub(crate) fn write_table(path: &Path, csv: Vec<u8>, global: &Global) -> anyhow::Result<()> {
    Ok(files::write(path, &as_wanted(csv, global)?)?)
}
