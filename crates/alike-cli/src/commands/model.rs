//! `alike model`.

use crate::args::{Global, NetworkArgs, RewriteArgs};
use crate::printer::{json, line, lines};
use alike::engine::{Plan, Rewrites};
use alike::files;
use alike::images::Shape;
use alike::model::{NETWORKS, Network, SEED_SPEC, Spec, named_network};
use alike::suggest::did_you_mean;
use alike::train::Run;
use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};

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

pub(crate) fn run(args: &ModelCommand, global: &Global) -> anyhow::Result<()> {
    let ModelVerb::Show { model: run, network, input, plan, rewrites } = &args.verb;
    let network = match run {
        Some(folder) => Run::open(folder)?.best()?.network,
        None => Network::new(spec(network, SEED_SPEC, *input)?, *input)?,
    };
    if *plan {
        let rewrites = rewrites.changed().unwrap_or(Rewrites::ALL);
        return lines(Plan::with(&network, rewrites).to_string());
    }
    show(&network, global)
}

/// The specification that flags describe for images of a shape, from `default` where they do not.
pub(crate) fn spec(args: &NetworkArgs, default: &str, shape: Shape) -> anyhow::Result<Spec> {
    let text = match &args.network {
        Some(text) => match text.strip_prefix('@') {
            Some(path) => files::read_text(Path::new(path))?,
            None => named_network(text.trim(), shape).unwrap_or_else(|| text.clone()),
        },
        None => default.to_owned(),
    };
    // One word may be a network's name rather than a layer's.
    let mut spec: Spec = text.parse().with_context(|| match text.trim() {
        word if word.contains([' ', '(']) => "--network".to_owned(),
        word => {
            let names = NETWORKS.map(|n| n.0);
            format!("--network: there is no network '{word}'{}", did_you_mean(word, names))
        }
    })?;
    if let Some(width) = args.embedding {
        spec = spec.with_embedding(width.get());
    }
    Ok(if args.normalize { spec.normalized() } else { spec })
}

/// What `alike model show --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownNetwork {
    /// Its specification.
    network: String,
    /// Height, width and channels of its images, as in `28x28x1`.
    input: String,
    /// In the order in which they run.
    layers: Vec<ShownLayer>,
    /// All parameters.
    parameters: usize,
    /// Embedding dimension.
    embedding: usize,
    /// Multiply-adds of an image, as millions of floating-point operations.
    mflop: f64,
}

/// A layer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ShownLayer {
    /// Its name and arguments.
    layer: String,
    /// Height, width and channels that it takes.
    input: String,
    /// Height, width and channels that it makes.
    output: String,
    /// Its parameters.
    parameters: usize,
    /// Multiply-adds of an image, as millions of floating-point operations.
    mflop: f64,
}

fn show(network: &Network, global: &Global) -> anyhow::Result<()> {
    let mflop = |flop: u64| flop as f64 / 1e6;
    if global.json {
        let layers = network.layers().iter().map(|l| ShownLayer {
            layer: l.layer.title(),
            input: l.input.to_string(),
            output: l.output.to_string(),
            parameters: l.parameters.iter().map(alike::model::ParameterInfo::len).sum(),
            mflop: mflop(l.flop),
        });
        return json(&ShownNetwork {
            network: network.spec().to_string(),
            input: network.input().to_string(),
            layers: layers.collect(),
            parameters: network.parameter_count(),
            embedding: network.embedding(),
            mflop: mflop(network.flop()),
        });
    }
    line(format!("{:24} {:>12} {:>12} {:>10}", "layer", "output", "parameters", "MFLOP"))?;
    line(format!("{:24} {:>12} {:>12} {:>10}", "(image)", network.input().to_string(), "", ""))?;
    for l in network.layers() {
        let parameters: usize = l.parameters.iter().map(alike::model::ParameterInfo::len).sum();
        let (name, output) = (l.layer.title(), l.output.to_string());
        line(format!("{name:24} {output:>12} {parameters:>12} {:>10.3}", mflop(l.flop)))?;
    }
    line(format!(
        "{:24} {:>12} {:>12} {:>10.3}",
        "total",
        "",
        network.parameter_count(),
        mflop(network.flop())
    ))
}
