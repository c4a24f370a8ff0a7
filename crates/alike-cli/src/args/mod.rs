//! What can be typed before any verb, and what verbs share; a verb's own options stand in its file of `commands`.

mod model;
mod source;
mod training;

pub(crate) use model::*;
pub(crate) use source::*;
pub(crate) use training::*;

use crate::commands::Command;
use alike::limits::Limits;
use clap::{Args, Parser};
use std::path::PathBuf;

/// Teaches a machine which images are alike: trains an image embedding, judges it and puts it to use.
#[derive(Debug, Parser)]
#[command(name = "alike", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  alike demo                                      all of it, on MNIST or on drawn digits
  alike data stats photos/                        what is in a folder of pictures, and what is wrong with it
  alike train --data photos/ --out runs/photos    train on it: everything else is chosen and said
  alike eval runs/photos                          pixels against the embedding, by the same rules
  alike report runs/photos -o page.html           figures and a page that shows what was learned
  alike train --data mnist --recipe seed --exclude-class 0 --out runs/no-zeros
  alike embed runs/photos more/ -o out.npy        embed image files
  alike search runs/photos --gallery out.npy x.jpg   what is most like it
  alike classify runs/photos new/                 which class, or unknown
  alike anomaly runs/photos --gallery good/ new/    what is not normal")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Number of threads [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = threads, help_heading = "Global options")]
    pub(crate) threads: Option<usize>,
    /// Seed of all random choices but the split [default: 0]
    #[arg(long, global = true, value_name = "N", help_heading = "Global options")]
    pub(crate) seed: Option<u64>,
    /// Print only results and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Print more: the CPU's instruction set, where data come from
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,
    /// Print one JSON object to stdout instead of a table
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// In tables of results (CSV), put an apostrophe before cells that a spreadsheet would take for a formula: those that begin
    /// with =, +, - or @ and are no number. Without it, names are written as they are. Tables that Alike reads again are never changed
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) spreadsheet: bool,
    /// A TOML file with a table per verb, whose keys are that verb's flags; flags win
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Folder that holds a folder for each data set [default: $ALIKE_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Never download anything
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) offline: bool,
    /// Folder for downloads and prepared images [default: the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Disk space for prepared images; the least recently used are deleted first
    #[arg(long, global = true, value_name = "GB", default_value_t = 20, help_heading = "Global options")]
    pub(crate) cache_limit: u64,
    /// Keep prepared images in memory only
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_cache: bool,
    /// What files may ask for, as in pixels=1000M,memory=4G: pixels of a picture (256M), memory of decoding over all threads (1G), a
    /// member of an archive (256M), an unpacked archive (16G), a model (4G), a text (64M), an array (1G), images of an archive, array or
    /// table (2M)
    #[arg(long, global = true, value_name = "NAME=SIZE,...", value_parser = clap::value_parser!(Limits), help_heading = "Global options")]
    pub(crate) limit: Option<Limits>,
    /// A library of ONNX Runtime (libonnxruntime; 1.32 is tested) that runs encoders in the place of rten [default: $ALIKE_ONNXRUNTIME]
    #[cfg(feature = "onnx")]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// A mirror to download data sets from before the public ones
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) mirror: Option<String>,
}

/// More threads than any machine has cores would take minutes to start.
fn threads(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| (1..=1024).contains(n));
    n.ok_or_else(|| "give a whole number from 1 to 1024".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn each<'a>(command: &'a clap::Command, path: &str, see: &mut impl FnMut(&str, &'a clap::Command)) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            see(&path, sub);
            each(sub, &path, see);
        }
    }

    #[test]
    fn every_verb_has_examples_and_every_option_a_long_name() {
        let program = Cli::command();
        let mut seen = 0;
        each(&program, "alike", &mut |path, verb| {
            seen += 1;
            // `alike data` and `alike model` are only names for the verbs below them.
            if verb.has_subcommands() && verb.get_positionals().next().is_none() {
                return;
            }
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(path), "{path} --help has no example of it");
            for option in verb.get_opts() {
                assert!(option.get_long().is_some(), "{path}: {} has no long name", option.get_id());
            }
        });
        assert!(seen > 20, "{seen} verbs");
        program.debug_assert();
    }
}
