//! What can be typed about a network and how it is trained.

use alike::distance::Distance;
use alike::engine::Rewrites;
use alike::train::{OptimizerKind, Schedule};
use clap::Args;
use std::num::NonZeroUsize;

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
    /// The network: a name (seed, plain, conv4, residual-small, aligned, residual, resnet9, residual-large, shallow, head, deep-head), its
    /// layers as in "norm relu conv(32) maxpool(2) norm relu conv(32) gap", or @FILE to read it from
    #[arg(long, value_name = "SPEC")]
    pub(crate) network: Option<String>,
    /// Embedding dimension: the output channels of the last convolution or linear layer
    #[arg(long, value_name = "N")]
    pub(crate) embedding: Option<NonZeroUsize>,
    /// Scale every embedding to unit length
    #[arg(long)]
    pub(crate) normalize: bool,
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
    /// Optimiser: adam, adamw, muon or sgd:momentum=0.9
    #[arg(long, value_parser = clap::value_parser!(OptimizerKind))]
    pub(crate) optimizer: Option<OptimizerKind>,
    /// Learning rate
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// Learning rate schedule: constant, cosine, one-cycle:fall=cosine|linear|sqrt,rise=0.3, step:epochs=N,factor=F
    #[arg(long = "schedule", value_parser = clap::value_parser!(Schedule))]
    pub(crate) curve: Option<Schedule>,
    /// Epochs of learning rate warm-up
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) warmup: Option<f64>,
    /// Weight decay, applied to weights but not to biases and normalisations
    #[arg(long)]
    pub(crate) weight_decay: Option<f64>,
    /// Progressive resizing: in the first epoch, images have this share of their height and width;
    /// they grow to full size over three quarters of the epochs, as in 0.625
    #[arg(long, value_name = "SHARE")]
    pub(crate) first_size: Option<f64>,
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
