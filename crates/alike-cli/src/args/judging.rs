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
    /// Values of k for k-NN classification [default: 1,5, where the gallery is large enough]
    #[arg(long, value_delimiter = ',')]
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
    /// Evaluate the last epoch even if another validated better
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
    /// An ensemble: concatenate the embeddings of these runs to the first; repeat the flag or separate folders by commas
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
  alike eval RUN verification                         all pairs of the run's test images
  alike eval RUN verification --data faces/ --flip
  alike eval RUN verification --pairs pairs.csv       a table with the columns a, b and same
  alike eval RUN verification --by pose               apart by a column of the data's table")]
pub(crate) struct VerificationArgs {
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
  alike eval RUN anomaly                              RUN left classes out: are their images told from the others?
  alike eval RUN anomaly --one-class --data mnist     each class alone is normal, all others are not
  alike eval RUN anomaly --against fashion-mnist      another data set is what is not normal")]
pub(crate) struct AnomalyProtocolArgs {
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
  alike compare runs/a runs/b --data more/ --split class")]
pub(crate) struct CompareArgs {
    /// Folders of runs on the same data and split; the others are compared with the first
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write every run's measures and differences to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}
