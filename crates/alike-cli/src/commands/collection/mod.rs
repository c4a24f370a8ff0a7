//! `alike collection`: embeddings that live in a file, a verb a file.

pub(crate) mod add;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod create;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod reembed;
pub(crate) mod remove;
pub(crate) mod say;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod sync;

use crate::args::{EncoderArgs, Global, OnErrorArg};
use crate::models::OpenModel;
use crate::printer::{line, note, say};
use alike_store::{Access, Address, Collection, Filter, StoreError, SyncAnswer, user};
use anyhow::ensure;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct CollectionCommand {
    #[command(subcommand)]
    pub(crate) verb: CollectionVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionVerb {
    /// Make a collection for the embeddings of a model
    Create(create::CreateArgs),
    /// Embed pictures and add them
    Add(add::AddArgs),
    /// Make a collection equal to folders: embed what is new or changed, remove what is gone
    Sync(sync::SyncArgs),
    /// Remove pictures
    Remove(remove::RemoveArgs),
    /// Set the class, group or facts of pictures
    Set(set::SetArgs),
    /// Say that two pictures show the same, or do not, or are no duplicates
    Say(say::SayArgs),
    /// List the collections that have names, or the pictures of one
    List(list::ListArgs),
    /// Show what a collection is, or all that is known of pictures
    Show(show::ShowArgs),
    /// Write the embeddings as a NumPy array and a table
    Export(export::ExportArgs),
    /// Add embeddings that alike embed wrote
    Import(import::ImportArgs),
    /// Look whether a collection is sound
    Check(check::CheckArgs),
    /// Give back the room of removed pictures, and build the index anew
    Compact(compact::CompactArgs),
    /// Copy a collection, while others may use it
    Backup(backup::BackupArgs),
    /// Embed all pictures anew, by another model
    Reembed(reembed::ReembedArgs),
}

/// Where the model lies that will embed a collection's pictures. A path is found again from whatever folder; a name stays a name.
fn address_of(encoder: &EncoderArgs) -> anyhow::Result<Address> {
    ensure!(
        crate::collections::meant(&encoder.model).is_none(),
        "{} is a collection; name the model that embeds the pictures",
        encoder.model.display()
    );
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let with = crate::models::runs(&encoder.with).iter().map(|p| whole(p)).collect();
    Ok(Address { model: whole(&encoder.model), with, flip: encoder.flip })
}

pub(crate) fn run(args: &CollectionCommand, global: &Global) -> anyhow::Result<()> {
    match &args.verb {
        CollectionVerb::Create(args) => create::run(args, global),
        CollectionVerb::Add(args) => add::run(args, global),
        CollectionVerb::Sync(args) => sync::run(args, global),
        CollectionVerb::Remove(args) => remove::run(args, global),
        CollectionVerb::Set(args) => set::run(args, global),
        CollectionVerb::Say(args) => say::run(args, global),
        CollectionVerb::List(args) => list::run(args, global),
        CollectionVerb::Show(args) => show::run(args, global),
        CollectionVerb::Export(args) => export::run(args, global),
        CollectionVerb::Import(args) => import::run(args, global),
        CollectionVerb::Check(args) => check::run(args, global),
        CollectionVerb::Compact(args) => compact::run(args, global),
        CollectionVerb::Backup(args) => backup::run(args, global),
        CollectionVerb::Reembed(args) => reembed::run(args, global),
    }
}

fn open(what: &Path, access: Access) -> Result<Collection, StoreError> {
    Collection::open(&user::get(what)?, access)
}

/// The model of a collection, as it says itself or as the user does.
fn model_of<'a>(
    what: &Path,
    encoder: Option<&PathBuf>,
    on_error: Option<OnErrorArg>,
    global: &'a Global,
) -> anyhow::Result<OpenModel<'a>> {
    // What it is, where it is no collection.
    drop(open(what, Access::Read)?);
    let args =
        EncoderArgs { model: what.to_owned(), encoder: encoder.cloned(), on_error, ..EncoderArgs::default() };
    OpenModel::new(&args, global)
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
}

#[cfg(not(feature = "parquet"))]
fn no_parquet() -> anyhow::Error {
    anyhow::anyhow!(
        "this program was built without Parquet; build it with --features parquet, or name a .npy file"
    )
}

/// Which pictures of a collection are meant.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Pictures: paths, or numbers as in '#12'
    #[arg(value_name = "PICTURE")]
    pub(crate) pictures: Vec<String>,
    /// Those of which a condition holds, as in "class = 'cup' and added > 2024-05-01"
    #[arg(long = "where", value_name = "CONDITION", value_parser = clap::value_parser!(Filter))]
    pub(crate) filter: Option<Filter>,
}

impl WhichArgs {
    /// Their numbers. That none is meant is an error: all are meant by a condition that always holds.
    fn ids(&self, collection: &Collection) -> anyhow::Result<Vec<i64>> {
        ensure!(
            !self.pictures.is_empty() || self.filter.is_some(),
            "say which pictures: name them, or give a condition with --where"
        );
        let named = self.pictures.iter().map(|what| Ok(collection.find(what)?.id));
        let mut ids = named.collect::<anyhow::Result<Vec<i64>>>()?;
        if let Some(filter) = &self.filter {
            ids.extend(collection.ids(Some(filter))?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// Failures that are told one by one.
const TOLD: usize = 20;

/// What became of pictures, in words.
fn tell(answer: &SyncAnswer, global: &Global) -> anyhow::Result<()> {
    for failure in answer.failed.iter().take(TOLD) {
        say(format!("left out: {}: {}", failure.name, failure.why));
    }
    if answer.failed.len() > TOLD {
        note(global, format!("  and {} more", answer.failed.len() - TOLD));
    }
    let counts = [
        (answer.added, "added"),
        (answer.changed, "embedded again"),
        (answer.moved, "moved"),
        (answer.classes_changed, "of another class now"),
        (answer.removed, "removed"),
        (answer.missing, "missing and kept"),
        (answer.unchanged, "as they were"),
        (answer.failed.len(), "unreadable"),
    ];
    let said: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let said = if said.is_empty() { "nothing to do".to_owned() } else { said.join(", ") };
    line(format!("{}: {said}; {} pictures now", answer.collection.display(), answer.images))
}
