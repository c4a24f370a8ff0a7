//! What can be typed to judge a run.

use super::SourceArgs;
use super::using::share;
use alike::eval::AnomalyMethod;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval RUN                                  accuracy and retrieval, in image space and in feature space
  alike eval RUN few-shot --ways 5,20 --shots 1,5
  alike eval RUN few-shot --runs all_runs.zip     Omniglot's one-shot runs
  alike eval RUN verification -o curves.png
  alike eval RUN anomaly                          classes that were left out of training, or each class alone")]
pub(crate) struct EvalArgs {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// Numbers of neighbours that vote [default: 1,5, as far as there are so many]
    #[arg(long, value_delimiter = ',')]
    pub(crate) k: Vec<usize>,
    /// Let a neighbour's vote weigh one over its distance
    #[arg(long)]
    pub(crate) weighted: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// The Ks of Recall@K, Precision@K and NDCG@K [default: 1,5,10, as far as there are so many]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at: Vec<u32>,
    /// Compare no image with those of its own group: what one camera, writer or session took
    #[arg(long)]
    pub(crate) leave_group: bool,
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

impl EvalArgs {
    /// An option that no protocol reads, if one was given.
    pub(crate) fn plain_alone(&self) -> Option<&'static str> {
        let given = [
            (!self.k.is_empty(), "--k"),
            (!self.at.is_empty(), "--at"),
            (self.csv.is_some(), "--csv"),
            (self.leave_group, "--leave-group"),
            (self.weighted, "--weighted"),
            (self.subject.flip, "--flip"),
            (!self.subject.with.is_empty(), "--with"),
            (self.subject.data.is_some() || self.subject.source.is_given(), "--data"),
        ];
        given.into_iter().find(|g| g.0).map(|g| g.1)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Protocol {
    /// Classes never trained on, told apart by a handful of images each
    FewShot(FewShotArgs),
    /// Whether two images are of one class, by their distance: error rates, curves, accuracy by folds
    Verification(VerificationArgs),
    /// Whether images of other classes are told from those that are normal
    Anomaly(AnomalyProtocolArgs),
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
    /// Embed by these runs too, side by side: several are surer than one; may be given several times, or as a list with commas
    #[arg(long, value_name = "RUN")]
    pub(crate) with: Vec<PathBuf>,
}

impl SubjectArgs {
    /// Refuses what only other data can be told: the run's own are prepared and split as they were for training.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.data.is_some() || !self.source.is_given(),
            "--prepare, --split, --nested, --rotations and --on-error say how other data are read; name them with --data"
        );
        Ok(())
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval RUN few-shot                             5-way and 20-way, 1 and 5 shots, of the run's test classes
  alike eval RUN few-shot --within-category --ways 20 --shots 1
  alike eval RUN few-shot --runs all_runs.zip         the 20 one-shot runs of Lake et al.")]
pub(crate) struct FewShotArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Classes of an episode [default: 5 and 20, as far as there are so many]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) ways: Vec<usize>,
    /// Images of each class to learn from [default: 1 and 5, as far as classes have so many and one more]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) shots: Vec<usize>,
    /// Images of each class that ask, at most
    #[arg(long, default_value_t = 15, value_name = "N")]
    pub(crate) queries: usize,
    /// Episodes of each kind
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) episodes: u32,
    /// All classes of an episode are of one category, an alphabet say
    #[arg(long)]
    pub(crate) within_category: bool,
    /// No image asks of a group that its class is learned from: what one camera, writer or session took
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
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval RUN verification                         all pairs of the run's test images
  alike eval RUN verification --data faces/ --flip
  alike eval RUN verification --pairs pairs.csv       a table with the columns a, b and same
  alike eval RUN verification --by pose               apart by a column of the data's table")]
pub(crate) struct VerificationArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Only these pairs: a table with the columns a and b, names of test images, and same, true or false
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: Option<PathBuf>,
    /// The shares of pairs of two classes that may be accepted
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.01,0.001,0.0001", value_parser = share, value_name = "SHARE")]
    pub(crate) far: Vec<f64>,
    /// Leave pairs of one group out: what one camera, writer or session took
    #[arg(long, conflicts_with = "pairs")]
    pub(crate) leave_group: bool,
    /// Tell pairs apart by a column of the data's table: pose, light...
    #[arg(long, value_name = "COLUMN")]
    pub(crate) by: Option<String>,
    /// Write the receiver operating characteristic to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw curves, histograms and the worst pairs into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval RUN anomaly                              RUN left classes out: are their images told from the others?
  alike eval RUN anomaly --one-class --data mnist     each class alone is normal, all others are not
  alike eval RUN anomaly --against fashion-mnist      another data set is what is not normal")]
pub(crate) struct AnomalyProtocolArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Methods: knn:k=1, mahalanobis, mahalanobis-by-class, lof:k=20
    #[arg(long, default_values = ["knn", "mahalanobis", "mahalanobis-by-class", "lof"], value_parser = clap::value_parser!(AnomalyMethod))]
    pub(crate) method: Vec<AnomalyMethod>,
    /// Each class alone is normal, and all others are anomalies [default where the run left no class out]
    #[arg(long, conflicts_with = "against")]
    pub(crate) one_class: bool,
    /// A data set whose test images are all anomalies
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) against: Option<String>,
    /// Score no image by references of its own group: what one camera, lot or session took
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write a row for every class, method and space to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike compare runs/a runs/b runs/c               whether b and c are better than a, or were lucky
  alike compare runs/a runs/b --data more/ --split class")]
pub(crate) struct CompareArgs {
    /// Folders of runs on the same data and split; the others are compared with the first
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Compare no image with those of its own group: what one camera, writer or session took
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write every run's measures and differences to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}
