//! What can be typed to describe a network, train it and search for settings.

use super::SourceArgs;
use alike::data::Augment;
use alike::distance::Distance;
use alike::engine::Rewrites;
use alike::images::Shape;
use alike::train::{OptimizerKind, Sampler, Schedule, Start};
use clap::{Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ModelCommand {
    #[command(subcommand)]
    pub(crate) verb: ModelVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelVerb {
    /// Print layers, shapes, parameters and MFLOP
    #[command(after_help = "Examples:
  alike model show runs/photos
  alike model show --network residual --input 64x64x3 --plan")]
    Show {
        /// The model: a run's folder; without one, the network that --network describes
        model: Option<PathBuf>,
        #[command(flatten)]
        network: NetworkArgs,
        /// The images' size
        #[arg(long, value_name = "HxWxC", default_value = "28x28x1")]
        input: Shape,
        /// Print the execution plan instead: fused operations and memory
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        rewrites: RewriteArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RewriteArgs {
    /// Run the network without a rewrite of its plan; this changes its speed and rounding
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
    /// The network: a name (seed, plain, conv4, residual-small, aligned, residual, residual-large, shallow, head, deep-head), its layers as in "norm relu
    /// conv(32) maxpool(2) norm relu conv(32) gap", or @FILE to read it from
    #[arg(long, value_name = "SPEC")]
    pub(crate) network: Option<String>,
    /// Embedding dimension: the output channels of the last convolution or linear layer
    #[arg(long, value_name = "N")]
    pub(crate) embedding: Option<NonZeroUsize>,
    /// Scale every embedding to unit length
    #[arg(long)]
    pub(crate) normalize: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike train --data mnist --recipe fast --out RUN --seed 7
  alike train --data mnist --loss multi-similarity --miner semi-hard --sampler pk:10x20 --out RUN
  alike train --data fashion-mnist --epochs 10 --validate --out RUN
  alike train --data faces/ --split class --start whitened --out RUN   few images that always lie alike: a second's work
  alike train --data photos/ --seeds 1,2,3 --out runs/photos && alike compare runs/photos
  alike train --resume RUN                        continue after Ctrl-C, to the same bits")]
pub(crate) struct TrainArgs {
    /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
    #[arg(long, required_unless_present = "resume", value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    /// Where the data were found before, as a run's own settings say
    #[arg(long, hide = true, requires = "data", value_name = "PATH")]
    pub(crate) found_at: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder to create
    #[arg(long, short, required_unless_present = "resume", value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// Continue a run that was stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "out", "seeds", "force", "recipe", "exclude_class", "network",
        "embedding", "normalize", "objective", "schedule", "source", "batch_size", "validate", "seed", "start"])]
    pub(crate) resume: Option<PathBuf>,
    /// Train a run with each of these seeds, on one split, in a folder each: OUT/seed-1, OUT/seed-2...; alike compare OUT sums them up
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', conflicts_with = "seed")]
    pub(crate) seeds: Vec<u64>,
    /// Replace an existing run
    #[arg(long)]
    pub(crate) force: bool,
    /// Defaults for all other settings; auto chooses them for the data, and says why
    #[arg(long, default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// A class to leave out of training; repeat the flag or separate names by commas. A name that contains a comma is matched whole first
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude_class: Vec<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Initial weights. With whitened, the network is 'shallow' and there are no epochs unless --network and --epochs say otherwise
    #[arg(long, value_enum)]
    pub(crate) start: Option<StartArg>,
    /// Number of epochs
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Batch size in images, or in triplets for samplers of triplets
    #[arg(long)]
    pub(crate) batch_size: Option<usize>,
    /// Batch sampler: triplets, random, pk:CLASSESxIMAGES, hierarchical, fixed-triplets, tuples-to-weights
    #[arg(long, value_parser = clap::value_parser!(Sampler))]
    pub(crate) sampler: Option<Sampler>,
    #[command(flatten)]
    pub(crate) objective: ObjectiveArgs,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
    /// Augmentation of training images: none, affine, custom:KEY=VALUE,... (see alike losses --all)
    #[arg(long, value_parser = clap::value_parser!(Augment))]
    pub(crate) augment: Option<Augment>,
    /// Megabytes of activations that a batch may keep for the backward pass; beyond it activations are recomputed [default: 1024]
    #[arg(long, value_name = "MB")]
    pub(crate) activation_memory: Option<usize>,
    #[command(flatten)]
    pub(crate) rewrites: RewriteArgs,
    /// Share of the training images to hold out for validation after each epoch; the best epoch is kept
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.1", require_equals = true)]
    pub(crate) validate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StartArg {
    /// Random weights
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
    /// Loss, with parameters that differ from the defaults: circle:gamma=40, or a sum: arcface + 0.5 * intra-pair-variance
    #[arg(long, value_name = "LOSS")]
    pub(crate) loss: Option<String>,
    /// Margin of the loss
    #[arg(long)]
    pub(crate) margin: Option<f64>,
    /// Distance of losses and miners [default: each one's own]
    #[arg(long, value_parser = clap::value_parser!(Distance))]
    pub(crate) distance: Option<Distance>,
    /// Miner: which pairs and triplets of a batch count [default: all]
    #[arg(long)]
    pub(crate) miner: Option<String>,
    /// Reducer: how a loss's elements become one number, by term as in "sum | mean" [default: each loss's own]
    #[arg(long)]
    pub(crate) reducer: Option<String>,
    /// Regulariser of embeddings or proxies, with its weight: "0.1 * lp"; may be given several times
    #[arg(long)]
    pub(crate) regularizer: Vec<String>,
    /// Cross-batch memory: embeddings of past batches to compare with besides the batch
    #[arg(long, value_name = "N")]
    pub(crate) memory: Option<usize>,
    /// Train without labels, on two augmented views of each image
    #[arg(long)]
    pub(crate) self_supervised: bool,
}

/// How gradients become steps.
#[derive(Debug, Args)]
#[group(id = "schedule", multiple = true)]
pub(crate) struct ScheduleArgs {
    /// Optimiser: adam, adamw or sgd:momentum=0.9
    #[arg(long, value_parser = clap::value_parser!(OptimizerKind))]
    pub(crate) optimizer: Option<OptimizerKind>,
    /// Learning rate
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// Learning rate schedule: constant, cosine, one-cycle, step:epochs=N,factor=F
    #[arg(long = "schedule", value_parser = clap::value_parser!(Schedule))]
    pub(crate) curve: Option<Schedule>,
    /// Epochs of learning rate warm-up
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) warmup: Option<f64>,
    /// Weight decay, applied to weights but not to biases and normalisations
    #[arg(long)]
    pub(crate) weight_decay: Option<f64>,
    /// Clip the gradient to this norm
    #[arg(long, value_name = "LENGTH")]
    pub(crate) clip: Option<f64>,
    /// Evaluate an exponential moving average of the weights with this decay per step, as in 0.999
    #[arg(long, value_name = "SHARE")]
    pub(crate) average: Option<f64>,
    /// Learning rate of proxies, as a multiple of the weights' learning rate
    #[arg(long, value_name = "FACTOR")]
    pub(crate) proxy_rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum JudgeArg {
    /// Held-out images of the classes that are trained on
    Image,
    /// Held-out classes
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
    /// Folder of the search; an existing search is continued
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Recipe that candidates start from
    #[arg(long, default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// Number of candidates: all losses with their defaults first, then others
    #[arg(long, default_value_t = 27, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) candidates: u16,
    /// Validate on held-out images or on held-out classes
    #[arg(long, value_enum, default_value = "image")]
    pub(crate) by: JudgeArg,
    /// Share of images or classes to hold out
    #[arg(long, default_value_t = 0.2)]
    pub(crate) hold_out: f64,
    /// Epochs of a round [default: the recipe's]
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Stop after this time; the same command continues
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike losses                                    all losses
  alike losses multi-similarity                   one, with its parameters and their ranges
  alike losses --all                              miners, reducers, distances, samplers... too")]
pub(crate) struct LossesArgs {
    /// Show only this loss
    pub(crate) name: Option<String>,
    /// List miners, reducers, distances, samplers, optimisers, schedules, augmentations and regularisers too
    #[arg(long)]
    pub(crate) all: bool,
}
