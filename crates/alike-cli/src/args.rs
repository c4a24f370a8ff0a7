//! What can be typed.

use alike::engine::Rewrites;
use alike::images::Shape;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Teaches a machine which images are alike: trains an image embedding, judges it and puts it to use.
#[derive(Debug, Parser)]
#[command(name = "alike", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  alike demo                                      all of it, on MNIST or on drawn digits
  alike train --data mnist --out runs/mnist       train the seed's network on MNIST
  alike eval runs/mnist                           pixels against the embedding, by the same rules
  alike report runs/mnist -o page.html            figures and a page that shows what was learned
  alike train --data digits --exclude-class 0 --out runs/no-zeros
  alike embed runs/mnist pictures/ -o out.npy     embed image files")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Threads to work with [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = threads, help_heading = "Global options")]
    pub(crate) threads: Option<usize>,
    /// Decides all that is random [default: 0]
    #[arg(long, global = true, value_name = "N", help_heading = "Global options")]
    pub(crate) seed: Option<u64>,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Say more: the machine's instructions, where data come from
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,
    /// Print one JSON object to stdout instead of a table
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// A TOML file with a table per verb, whose keys are that verb's flags; flags win
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Where data sets lie, a folder each [default: $ALIKE_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Never download anything
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) offline: bool,
    /// A mirror to download data sets from before the public ones
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) mirror: Option<String>,
}

/// More threads than any machine has cores would take minutes to start.
fn threads(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| (1..=1024).contains(n));
    n.ok_or_else(|| "give a whole number from 1 to 1024".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Data sets: list them, fetch them, look at them
    Data(DataArgs),
    /// A network: its layers, shapes, parameters and cost
    Model(ModelArgs),
    /// Train an embedding
    Train(Box<TrainArgs>),
    /// Judge a run: image space against feature space
    Eval(EvalArgs),
    /// Draw a run: one HTML page, and its figures as SVG and PNG
    Report(ReportArgs),
    /// Embed images with a trained network
    Embed(EmbedArgs),
    /// Everything at once: train with and without a class, judge, and write the page
    Demo(DemoArgs),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    pub(crate) verb: DataVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// Sets that can be had by name, and where they are
    List,
    /// Download a set, or check that it is here
    Fetch {
        /// mnist, fashion-mnist or kmnist
        name: String,
    },
    /// Count a set's images by class, and draw a contact sheet
    Show {
        /// mnist, fashion-mnist, kmnist, digits, or a folder with the four IDX files
        #[arg(value_name = "NAME|DIR")]
        data: String,
        /// The .png or .svg file to write
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub(crate) verb: ModelVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelVerb {
    /// Print layers, shapes, parameters and MFLOP
    Show {
        /// A run's folder; without one, the network that --network describes
        run: Option<PathBuf>,
        #[command(flatten)]
        network: NetworkArgs,
        /// The images' size
        #[arg(long, value_name = "HxWxC", default_value = "28x28x1")]
        input: Shape,
        /// Print how the network is run instead: operations that are done together, and memory
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        rewrites: RewriteArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RewriteArgs {
    /// Run the network without a rewrite of its plan, which changes its speed and the rounding of its numbers
    #[arg(long, value_name = "REWRITE", value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(alike::engine::Rewrites::NAMES))]
    without: Vec<String>,
}

impl RewriteArgs {
    /// Those that are left, if any was taken away.
    pub(crate) fn changed(&self) -> Option<Rewrites> {
        // clap let only names pass.
        let left = self.without.iter().fold(Rewrites::ALL, |left, name| left.without(name).unwrap_or(left));
        (!self.without.is_empty()).then_some(left)
    }
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// The network, as in "norm relu conv(32) maxpool(2) norm relu conv(32) gap", or @FILE to read it from
    #[arg(long, value_name = "SPEC")]
    pub(crate) network: Option<String>,
    /// Numbers an image becomes: the maps of the last convolution
    #[arg(long, value_name = "N")]
    pub(crate) embedding: Option<NonZeroUsize>,
    /// Scale every embedding to length 1
    #[arg(long)]
    pub(crate) normalize: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DistanceArg {
    Euclidean,
    SquaredEuclidean,
    Cosine,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike train --data mnist --recipe seed --out RUN --seed 7
  alike train --data fashion-mnist --epochs 10 --validate --out RUN
  alike train --resume RUN                        continue after Ctrl-C, to the same bits")]
pub(crate) struct TrainArgs {
    /// mnist, fashion-mnist, kmnist, digits (or digits:train=N,test=N,seed=N), or a folder with the four IDX files
    #[arg(long, required_unless_present = "resume", value_name = "NAME|DIR")]
    pub(crate) data: Option<String>,
    /// The folder to make
    #[arg(long, short, required_unless_present = "resume", value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// Continue a run that was stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "out", "force", "recipe", "exclude_class", "network",
        "embedding", "normalize", "batch", "margin", "distance", "learning_rate", "validate", "seed"])]
    pub(crate) resume: Option<PathBuf>,
    /// Replace a run that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Where the other values begin
    #[arg(long, default_value = "seed", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// A class that is not trained on; may be given several times, or as a list
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) exclude_class: Vec<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Passes over the training images
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Triplets a step
    #[arg(long)]
    pub(crate) batch: Option<usize>,
    /// How much farther than the positive the negative should be
    #[arg(long)]
    pub(crate) margin: Option<f64>,
    /// What the loss measures by
    #[arg(long, value_enum)]
    pub(crate) distance: Option<DistanceArg>,
    /// Adam's step size
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// Megabytes that a batch may keep for its backward pass; beyond it activations are computed twice [default: 1024]
    #[arg(long, value_name = "MB")]
    pub(crate) activation_memory: Option<usize>,
    #[command(flatten)]
    pub(crate) rewrites: RewriteArgs,
    /// Hold out a share of the training images and judge by it after each epoch; the best epoch is kept
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.1", require_equals = true)]
    pub(crate) validate: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// Numbers of neighbours that vote
    #[arg(long, value_delimiter = ',', default_value = "1,5")]
    pub(crate) k: Vec<usize>,
    /// Judge the last epoch even where another validated better
    #[arg(long)]
    pub(crate) last: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// Image files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The .npy file to write; the paths go into a .csv beside it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Scale pictures of another size to the network's
    #[arg(long)]
    pub(crate) resize: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// The HTML file to write; figures go into a folder beside it [default: report.html in the run's folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// A run on the same data that excluded classes, to show what becomes of them
    #[arg(long, value_name = "RUN")]
    pub(crate) unseen: Option<PathBuf>,
    /// Replace a page and figures that are there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder to make
    #[arg(short, long, value_name = "DIR", default_value = "alike-demo")]
    pub(crate) out: PathBuf,
    /// Replace what an earlier demo left there
    #[arg(long)]
    pub(crate) force: bool,
    /// What to learn from [default: mnist if it can be had, else digits]
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) data: Option<String>,
    /// Passes over the training images
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
}
