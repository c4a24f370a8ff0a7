//! What can be typed to judge a run.

use super::SourceArgs;
use super::using::share;
use alike::eval::AnomalyMethod;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  alike eval MODEL                                accuracy and retrieval, in image space and in feature space
  alike eval MODEL --data more/ --k 1,5,20 --csv classes.csv
  alike eval few-shot MODEL --ways 5,20 --shots 1,5
  alike eval few-shot MODEL --runs all_runs.zip   Omniglot's one-shot runs
  alike eval verification MODEL -o curves.png
  alike eval anomaly MODEL                        classes that were left out of training, or each class alone")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct EvalArgs {
    /// The model: a run's folder
    #[arg(required = true)]
    pub(crate) model: Option<PathBuf>,
    /// Values of k for k-NN classification [default: 1,5, where the gallery is large enough]
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) k: Vec<usize>,
    /// Weight a neighbour's vote by the inverse of its distance
    #[arg(long)]
    pub(crate) weighted: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Values of K for Recall@K, Precision@K and NDCG@K [default: 1,5,10, where the gallery is large enough]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at: Vec<u32>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write the retrieval measures of every class and category to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
    #[command(subcommand)]
    pub(crate) protocol: Option<Protocol>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Protocol {
    /// Few-shot classification of classes never trained on
    FewShot(FewShotArgs),
    /// Verification of pairs: error rates, ROC curve, accuracy by folds
    Verification(VerificationArgs),
    /// Anomaly detection: AUROC of images of other classes against normal ones
    Anomaly(AnomalyProtocolArgs),
}

/// Which images a run is judged on.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Evaluate on other data than the run was trained on: a name, a folder or a file
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Average the embeddings of each image and its mirror image
    #[arg(long)]
    pub(crate) flip: bool,
    /// An ensemble: concatenate the embeddings of these models to the first; repeat the flag or separate them by commas
    #[arg(long, value_name = "MODEL")]
    pub(crate) with: Vec<PathBuf>,
    /// Evaluate the last epoch even if another validated better
    #[arg(long)]
    pub(crate) last: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval few-shot MODEL                             5-way and 20-way, 1 and 5 shots, of the run's test classes
  alike eval few-shot MODEL --within-category --ways 20 --shots 1
  alike eval few-shot MODEL --runs all_runs.zip         the 20 one-shot runs of Lake et al.")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct FewShotArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Classes per episode [default: 5 and 20, where there are enough]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) ways: Vec<usize>,
    /// Support images per class [default: 1 and 5, where classes have enough]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) shots: Vec<usize>,
    /// Query images per class, at most
    #[arg(long, default_value_t = 15, value_name = "N")]
    pub(crate) queries: usize,
    /// Number of episodes of each kind
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) episodes: u32,
    /// Draw all classes of an episode from one category, such as an alphabet
    #[arg(long)]
    pub(crate) within_category: bool,
    /// Exclude queries of the groups that their class is learned from, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// One-shot runs in the layout of Omniglot's all_runs.zip, instead of episodes
    #[arg(long, value_name = "ZIP|DIR", conflicts_with_all = ["data", "ways", "shots", "queries", "episodes", "within_category", "leave_group"])]
    pub(crate) runs: Option<PathBuf>,
    /// Write the accuracy of every kind of episodes, or the error of every run, to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the worst mistakes, of the first kind of episodes, into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval verification MODEL                         all pairs of the run's test images
  alike eval verification MODEL --data faces/ --flip
  alike eval verification MODEL --pairs pairs.csv       a table with the columns a, b and same
  alike eval verification MODEL --by pose               apart by a column of the data's table")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct VerificationArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Use only these pairs: a table with columns a and b (names of test images) and same (true or false)
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: Option<PathBuf>,
    /// False accept rates at which to report the true accept rate
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.01,0.001,0.0001", value_parser = share, value_name = "SHARE")]
    pub(crate) far: Vec<f64>,
    /// Exclude pairs of one group, such as a camera, writer or session
    #[arg(long, conflicts_with = "pairs")]
    pub(crate) leave_group: bool,
    /// Report by a column of the data's table, such as pose or light
    #[arg(long, value_name = "COLUMN")]
    pub(crate) by: Option<String>,
    /// Write the receiver operating characteristic to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw curves, histograms and the worst pairs into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval anomaly MODEL                              MODEL's training left classes out: are their images told from the others?
  alike eval anomaly MODEL --one-class --data mnist     each class alone is normal, all others are not
  alike eval anomaly MODEL --against fashion-mnist      another data set is what is not normal")]
#[command(group(ArgGroup::new("named").args(["data", "against"]).multiple(true)))]
#[command(mut_group("source", |group| group.requires("named")))]
pub(crate) struct AnomalyProtocolArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Methods: knn:k=1, mahalanobis, mahalanobis-by-class, lof:k=20
    #[arg(long, default_values = ["knn", "mahalanobis", "mahalanobis-by-class", "lof"], value_parser = clap::value_parser!(AnomalyMethod))]
    pub(crate) method: Vec<AnomalyMethod>,
    /// Take each class in turn as normal and all others as anomalies [default if the run excluded no class]
    #[arg(long, conflicts_with = "against")]
    pub(crate) one_class: bool,
    /// A data set whose test images are all anomalies
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) against: Option<String>,
    /// Exclude references of the image's own group, such as a camera, lot or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write a row for every class, method and space to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike compare runs/a runs/b runs/c               whether b and c are better than a, or were lucky
  alike compare runs/photos --markdown seeds.md    all runs in a folder, as alike train --seeds 1,2,3 makes them
  alike compare runs/a runs/b --data more/ --split class")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct CompareArgs {
    /// Models trained on the same data and split, or folders of them; the others are compared with the first. Those that differ in
    /// nothing but their seed are summed up too
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write every model's measures and differences to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write the measures as a Markdown table
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike report MODEL                                  report.html in the run's folder, figures in a folder beside it
  alike report MODEL --unseen runs/no-zeros -o page.html --force")]
pub(crate) struct ReportArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    /// The HTML file to write; figures go into a folder beside it [default: report.html in the run's folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// A run on the same data that excluded classes, to show how these fare
    #[arg(long, value_name = "MODEL")]
    pub(crate) unseen: Option<PathBuf>,
    /// Replace an existing page and its figures
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike demo                                          MNIST or, when offline, built-in synthetic digits
  alike demo --data digits --epochs 1 -o /tmp/demo")]
pub(crate) struct DemoArgs {
    /// Folder to create
    #[arg(short, long, value_name = "DIR", default_value = "alike-demo")]
    pub(crate) out: PathBuf,
    /// Replace the output of an earlier demo
    #[arg(long)]
    pub(crate) force: bool,
    /// Data set [default: mnist; when offline, built-in synthetic digits]
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) data: Option<String>,
    /// Number of epochs
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
}
