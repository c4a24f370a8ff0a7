//! `alike collection sync`.

use super::{model_of, tell};
use crate::args::{Global, OnErrorArg};
use crate::bars::Bars;
use crate::printer::json;
use alike_store::{Access, SyncOptions};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection sync photos ~/photos                new pictures are embedded, what is gone is removed
  alike collection sync photos ~/photos --dry-run      only say what would be done
  alike collection sync photos ~/photos --watch        and go on as the folder changes")]
pub(crate) struct SyncArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// Folders, archives or tables that it is to be equal to
    #[arg(required = true, value_name = "FOLDER")]
    pub(crate) folders: Vec<PathBuf>,
    /// Keep pictures whose files are gone
    #[arg(long)]
    pub(crate) keep_missing: bool,
    /// Change nothing, and say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Look again every so many seconds, until it is ended
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with = "dry_run")]
    pub(crate) watch: Option<u64>,
    /// Where the encoder is found, if not where it was
    #[arg(long, value_name = "MODEL")]
    pub(crate) encoder: Option<PathBuf>,
    /// What to do with pictures that cannot be read [default: skip]
    #[arg(long, value_name = "skip|fail", value_enum)]
    pub(crate) on_error: Option<OnErrorArg>,
}

pub(super) fn run(args: &SyncArgs, global: &Global) -> anyhow::Result<()> {
    // A folder that is followed may hold a damaged file for years.
    let on_error = args.on_error.or(Some(OnErrorArg::Skip));
    let model = model_of(&args.collection, args.encoder.as_ref(), on_error, global)?;
    let mut collection = super::open(&args.collection, Access::Write)?;
    let options = SyncOptions { keep_missing: args.keep_missing, dry_run: args.dry_run };
    let mut first = true;
    loop {
        let bars = &mut Bars::new(global);
        let answer = alike_store::sync(&mut collection, &model.embedder(), &args.folders, options, bars)?;
        let idle =
            answer.added + answer.changed + answer.moved + answer.removed + answer.classes_changed == 0;
        if first || !idle {
            if global.json {
                json(&answer)?;
            } else {
                tell(&answer, global)?;
            }
        }
        first = false;
        let Some(seconds) = args.watch else { return Ok(()) };
        std::thread::sleep(Duration::from_secs(seconds));
    }
}
