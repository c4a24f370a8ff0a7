//! What can be typed to judge a run.

use super::SourceArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval RUN                                  accuracy and retrieval, in image space and in feature space
  alike eval RUN few-shot --ways 5,20 --shots 1,5
  alike eval RUN few-shot --runs all_runs.zip     Omniglot's one-shot runs")]
pub(crate) struct EvalArgs {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// Numbers of neighbours that vote
    #[arg(long, value_delimiter = ',', default_value = "1,5")]
    pub(crate) k: Vec<usize>,
    /// The Ks of Recall@K, Precision@K and NDCG@K
    #[arg(long, value_delimiter = ',', default_value = "1,5,10", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at: Vec<u32>,
    /// Write the retrieval measures of every class and category to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Judge the last epoch even where another validated better
    #[arg(long)]
    pub(crate) last: bool,
    #[command(subcommand)]
    pub(crate) protocol: Option<Protocol>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Protocol {
    /// Classes never trained on, told apart by a handful of images each
    FewShot(FewShotArgs),
}

/// Which images a run is judged on.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Judge on other data than those that the run was trained on: a name, a folder or a file
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Embed each image and its mirror image, and take the mean
    #[arg(long)]
    pub(crate) flip: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval RUN few-shot                             5-way and 20-way, 1 and 5 shots, of the run's test classes
  alike eval RUN few-shot --within-category --ways 20 --shots 1
  alike eval RUN few-shot --runs all_runs.zip         the 20 one-shot runs of Lake et al.")]
pub(crate) struct FewShotArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Classes of an episode
    #[arg(long, value_delimiter = ',', default_value = "5,20", value_name = "N")]
    pub(crate) ways: Vec<usize>,
    /// Images of each class to learn from
    #[arg(long, value_delimiter = ',', default_value = "1,5", value_name = "N")]
    pub(crate) shots: Vec<usize>,
    /// Images of each class that ask, at most
    #[arg(long, default_value_t = 15, value_name = "N")]
    pub(crate) queries: usize,
    /// Episodes of each kind
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) episodes: u32,
    /// All classes of an episode are of one category, an alphabet say
    #[arg(long)]
    pub(crate) within_category: bool,
    /// One-shot runs in the layout of Omniglot's all_runs.zip, instead of episodes
    #[arg(long, value_name = "ZIP|DIR", conflicts_with_all = ["data", "ways", "shots", "queries", "episodes", "within_category"])]
    pub(crate) runs: Option<PathBuf>,
}
