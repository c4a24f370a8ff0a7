//! What can be typed.

mod judging;
mod using;

pub(crate) use judging::*;
pub(crate) use using::*;

use alike::data::{Augment, OnError, PreparationWish, Request, SplitBy};
use alike::distance::Distance;
use alike::engine::Rewrites;
use alike::images::Shape;
use alike::limits::Limits;
use alike::train::{OptimizerKind, Sampler, Schedule, Start};
use clap::{Args, Parser, Subcommand};
use std::num::NonZeroUsize;
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
  alike anomaly runs/photos --reference good/ new/   what is not normal")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Args)]
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
    /// In tables of results (CSV), put an apostrophe before cells that a spreadsheet would take for a formula: those that begin
    /// with =, +, - or @ and are no number. Without it, names are written as they are
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) spreadsheet: bool,
    /// A TOML file with a table per verb, whose keys are that verb's flags; flags win
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Where data sets lie, a folder each [default: $ALIKE_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Never download anything
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) offline: bool,
    /// Where downloads and prepared images are kept [default: the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// The most that prepared images may take on disk; the longest unused are deleted
    #[arg(long, global = true, value_name = "GB", default_value_t = 20, help_heading = "Global options")]
    pub(crate) cache_limit: u64,
    /// Keep prepared images in memory, for this run alone
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_cache: bool,
    /// What files may ask for, as in pixels=1000M,memory=4G: pixels of a picture (256M), memory of decoding over all threads (1G), a
    /// member of an archive (256M), an unpacked archive (16G), a model (4G), a text (64M), an array (1G), images of an archive, array or
    /// table (2M)
    #[arg(long, global = true, value_name = "NAME=SIZE,...", value_parser = clap::value_parser!(Limits), help_heading = "Global options")]
    pub(crate) limit: Option<Limits>,
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
    /// Search for the loss, values and step size that suit a data set
    Tune(TuneArgs),
    /// List losses, with their values and what they are for
    Losses(LossesArgs),
    /// Judge a run: image space against feature space
    Eval(Box<EvalArgs>),
    /// Compare runs on the same images: which is better, and whether it could be chance
    Compare(CompareArgs),
    /// Draw a run: one HTML page, and its figures as SVG and PNG
    Report(ReportArgs),
    /// Embed images with a trained network
    Embed(EmbedArgs),
    /// Find the images that are most like others
    Search(SearchArgs),
    /// Name the class of images, or say that it is unknown
    Classify(ClassifyArgs),
    /// Teach a new class by a handful of images, without training
    Enroll(EnrollArgs),
    /// Say whether two images are of the same class
    Verify(VerifyArgs),
    /// Find images that are unlike what is normal
    Anomaly(AnomalyArgs),
    /// Put images that lie together into clusters
    Cluster(ClusterArgs),
    /// Find wrong labels, duplicates and confused classes in a run's data
    Health(HealthArgs),
    /// Draw a map of images: a page to look around in
    Map(MapArgs),
    /// Show what makes two images alike
    Explain(ExplainArgs),
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
    /// Look at all of a set's images: counts, sizes, what cannot be read, what is there twice
    Stats {
        /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
        #[arg(value_name = "NAME|PATH")]
        data: String,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// List prepared images that are kept, or delete them
    Cache {
        /// Delete them all
        #[arg(long)]
        clear: bool,
    },
    /// Count a set's images by class as training would have them, and draw a contact sheet
    Show {
        /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
        #[arg(value_name = "NAME|PATH")]
        data: String,
        #[command(flatten)]
        source: SourceArgs,
        /// The .png or .svg file to write
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Show images as training would see them, changed so
        #[arg(long, value_parser = clap::value_parser!(Augment))]
        augment: Option<Augment>,
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

/// Which images, and what becomes of them before training.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "source", multiple = true)]
pub(crate) struct SourceArgs {
    /// How pictures are prepared: size=64x64,channels=1,resize=fit|fill|squash|exact,crop=SHARE,invert,stretch; what is not said
    /// follows from the pictures
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = clap::value_parser!(PreparationWish), help_heading = "Images")]
    pub(crate) prepare: Option<PreparationWish>,
    /// What is held back for judging: image:test=0.2, class, group, given, lists:folder=DIR [default: as the source says, else
    /// image]
    #[arg(long, value_parser = clap::value_parser!(SplitBy), help_heading = "Images")]
    pub(crate) split: Option<SplitBy>,
    /// A class is the whole path of an image's folder, rather than the first folder
    #[arg(long, help_heading = "Images")]
    pub(crate) nested: bool,
    /// Every class trained on, turned by each quarter, is another class
    #[arg(long, help_heading = "Images")]
    pub(crate) rotations: bool,
    /// What to do about pictures that cannot be read
    #[arg(long, value_name = "skip|fail", value_enum, help_heading = "Images")]
    pub(crate) on_error: Option<OnErrorArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnErrorArg {
    /// Leave them out, and list them
    Skip,
    /// Stop, and name the first
    Fail,
}

impl OnErrorArg {
    pub(crate) fn or_fail(given: Option<OnErrorArg>) -> OnError {
        match given {
            Some(OnErrorArg::Skip) => OnError::Skip,
            Some(OnErrorArg::Fail) | None => OnError::Fail,
        }
    }
}

impl SourceArgs {
    /// Whether anything was said.
    pub(crate) fn is_given(&self) -> bool {
        let SourceArgs { prepare, split, nested, rotations, on_error } = self;
        prepare.is_some() || split.is_some() || *nested || *rotations || on_error.is_some()
    }

    pub(crate) fn request(&self, what: &str, seed: u64) -> Request {
        Request {
            what: what.to_owned(),
            found_at: None,
            prepare: self.prepare.unwrap_or_default(),
            split: self.split.clone(),
            nested: self.nested,
            rotations: self.rotations,
            on_error: OnErrorArg::or_fail(self.on_error),
            seed,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// The network: a name (seed, plain, conv4, residual-small, aligned, residual, residual-large, shallow, head, deep-head), its layers as in "norm relu
    /// conv(32) maxpool(2) norm relu conv(32) gap", or @FILE to read it from
    #[arg(long, value_name = "SPEC")]
    pub(crate) network: Option<String>,
    /// Numbers an image becomes: the maps of the last convolution
    #[arg(long, value_name = "N")]
    pub(crate) embedding: Option<NonZeroUsize>,
    /// Scale every embedding to length 1
    #[arg(long)]
    pub(crate) normalize: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike train --data mnist --recipe fast --out RUN --seed 7
  alike train --data mnist --loss multi-similarity --miner semi-hard --sampler pk:10x20 --out RUN
  alike train --data fashion-mnist --epochs 10 --validate --out RUN
  alike train --data faces/ --split class --start whitened --out RUN   few images that always lie alike: a second's work
  alike train --resume RUN                        continue after Ctrl-C, to the same bits")]
pub(crate) struct TrainArgs {
    /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
    #[arg(long, required_unless_present = "resume", value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    /// Where the data were found before: what a run's own settings say
    #[arg(long, hide = true, requires = "data", value_name = "PATH")]
    pub(crate) found_at: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// The folder to make
    #[arg(long, short, required_unless_present = "resume", value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// Continue a run that was stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "out", "force", "recipe", "exclude_class", "network",
        "embedding", "normalize", "objective", "schedule", "source", "batch", "validate", "seed", "start"])]
    pub(crate) resume: Option<PathBuf>,
    /// Replace a run that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Where the other values begin; auto finds them for the data, and says why
    #[arg(long, default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// A class that is not trained on; may be given several times, or as a list with commas. A name that holds a comma is meant whole
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude_class: Vec<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Where weights begin. Whitened, the network is shallow and nothing more is learned unless --network and --epochs say so
    #[arg(long, value_enum)]
    pub(crate) start: Option<StartArg>,
    /// Passes over the training images
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Images a step; triplets for samplers of triplets
    #[arg(long)]
    pub(crate) batch: Option<usize>,
    /// How batches are drawn: triplets, random, pk:CLASSESxIMAGES, hierarchical, fixed-triplets, tuples-to-weights
    #[arg(long, value_parser = clap::value_parser!(Sampler))]
    pub(crate) sampler: Option<Sampler>,
    #[command(flatten)]
    pub(crate) objective: ObjectiveArgs,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
    /// How images are changed as they are trained on: none, affine, custom:KEY=VALUE,... (see alike losses --all)
    #[arg(long, value_parser = clap::value_parser!(Augment))]
    pub(crate) augment: Option<Augment>,
    /// Megabytes that a batch may keep for its backward pass; beyond it activations are computed twice [default: 1024]
    #[arg(long, value_name = "MB")]
    pub(crate) activation_memory: Option<usize>,
    #[command(flatten)]
    pub(crate) rewrites: RewriteArgs,
    /// Hold out a share of the training images and judge by it after each epoch; the best epoch is kept
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.1", require_equals = true)]
    pub(crate) validate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StartArg {
    /// At random
    Random,
    /// With a last linear layer by which differences within classes count for less: a second's work, for few images that always
    /// lie alike
    Whitened,
}

impl From<StartArg> for Start {
    fn from(start: StartArg) -> Start {
        match start {
            StartArg::Random => Start::Random,
            StartArg::Whitened => Start::Whitened,
        }
    }
}

/// What is minimised.
#[derive(Debug, Args)]
#[group(id = "objective", multiple = true)]
pub(crate) struct ObjectiveArgs {
    /// The loss, with values if they are not the usual ones: circle:gamma=40, or a sum: arcface + 0.5 * intra-pair-variance
    #[arg(long, value_name = "LOSS")]
    pub(crate) loss: Option<String>,
    /// Sets the margin of the loss
    #[arg(long)]
    pub(crate) margin: Option<f64>,
    /// What losses and miners measure by; each one's own unless given
    #[arg(long, value_parser = clap::value_parser!(Distance))]
    pub(crate) distance: Option<Distance>,
    /// Which pairs and triplets of a batch count; all unless given
    #[arg(long)]
    pub(crate) miner: Option<String>,
    /// How a loss's elements become one number, by term as in "sum | mean"; each loss's own way unless given
    #[arg(long)]
    pub(crate) reducer: Option<String>,
    /// A cost of vectors by themselves, with its weight: "0.1 * lp"; may be given several times
    #[arg(long)]
    pub(crate) regularizer: Vec<String>,
    /// Embeddings of past batches to compare with besides the batch
    #[arg(long, value_name = "N")]
    pub(crate) memory: Option<usize>,
    /// Learn without labels, from two views of each image
    #[arg(long)]
    pub(crate) self_supervised: bool,
}

/// How gradients become steps.
#[derive(Debug, Args)]
#[group(id = "schedule", multiple = true)]
pub(crate) struct ScheduleArgs {
    /// adam, adamw or sgd:momentum=0.9
    #[arg(long, value_parser = clap::value_parser!(OptimizerKind))]
    pub(crate) optimizer: Option<OptimizerKind>,
    /// Step size
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// How the step size goes over the run: constant, cosine, one-cycle, step:epochs=N,factor=F
    #[arg(long = "schedule", value_parser = clap::value_parser!(Schedule))]
    pub(crate) curve: Option<Schedule>,
    /// Epochs over which the step size rises
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) warmup: Option<f64>,
    /// Weights (not biases, not normalisations) shrink by this times the step size
    #[arg(long)]
    pub(crate) weight_decay: Option<f64>,
    /// Cut gradients to this length
    #[arg(long, value_name = "LENGTH")]
    pub(crate) clip: Option<f64>,
    /// Judge a moving average of the weights that keeps this much a step, as in 0.999
    #[arg(long, value_name = "SHARE")]
    pub(crate) average: Option<f64>,
    /// The step size of proxies, by that of weights
    #[arg(long, value_name = "FACTOR")]
    pub(crate) class_rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum JudgeArg {
    /// Images of the classes that are trained on
    Image,
    /// Classes that are not
    Class,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike tune --data mnist --out tuned --minutes 10
  alike tune --data mnist --out tuned               continue a search that was stopped, or that ran out of time
  alike train --config tuned/best.toml --data mnist --out RUN")]
pub(crate) struct TuneArgs {
    /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// The folder of the search; one that is there is continued
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Where candidates begin
    #[arg(long, default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// Candidates: all losses with their usual values first, then others
    #[arg(long, default_value_t = 27, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) candidates: u16,
    /// Judge by held-out images, or by classes that are not trained on
    #[arg(long, value_enum, default_value = "image")]
    pub(crate) by: JudgeArg,
    /// The share of images, or classes, that is held out
    #[arg(long, default_value_t = 0.2)]
    pub(crate) hold_out: f64,
    /// Passes over the images of a round [default: the recipe's]
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Stop after this long; the same command goes on from there
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct LossesArgs {
    /// Only this one
    pub(crate) name: Option<String>,
    /// Miners, reducers, distances, samplers, optimisers, schedules, augmentations and regularisers too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// Image files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The .npy file to write; the paths go into a .csv beside it, the model's fingerprint into a .json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) pictures: PicturesArgs,
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
