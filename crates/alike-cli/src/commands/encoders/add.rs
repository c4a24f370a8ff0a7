//! `alike encoders add`.

use super::ask::ask;
use super::model;
use crate::args::Global;
use crate::commands::refuse_existing;
use crate::encoders::{MOST_SECONDS, isolation, remember};
use crate::printer::{json, line, note};
use alike::data::{Crop, Filter, Resize};
use alike::files;
use alike::limits::Limit;
use alike_onnx::{
    Channels, Contents, Draft, EncoderStore, Layout, Manifest, OnnxError, Pooling, Preset, Setting, Tried,
    ValueRange, external_files, sha256_hex,
};
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike encoders add resnet.onnx --preset imagenet              writes resnet.onnx.toml beside it
  alike encoders add vit.onnx --preset dinov2 --pool cls --name dino
  alike encoders add lite0.onnx --name lite0 --range 0-255 --mean 127 --std 128 --crop 0.875 --licence Apache-2.0
  alike encoders add lite0.onnx --preset tensorflow --output /_blocks.9/Add_output_0 --pool mean --name lite0-middle")]
pub(crate) struct AddArgs {
    /// The ONNX file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Copy it into your folder of encoders and give it this name, rather than write the manifest beside the file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    setup: SetupArgs,
}

/// What a file does not say of itself, and how it is tried.
#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// A family of networks, whose preparation is taken where no other option says otherwise: imagenet, tensorflow, clip, dinov2, siglip, dlib
    #[arg(long, value_name = "FAMILY", value_parser = clap::value_parser!(Preset), help_heading = "Preparation")]
    preset: Option<Preset>,
    /// Height and width of the images [default: as the file says]
    #[arg(long, value_name = "HxW", value_parser = size, help_heading = "Preparation")]
    size: Option<[usize; 2]>,
    /// How pictures get this size: fit, fill, squash or exact [default: fill]
    #[arg(long, value_name = "HOW", value_parser = clap::value_parser!(Resize), help_heading = "Preparation")]
    resize: Option<Resize>,
    /// How scaled pixels are computed: bilinear or bicubic [default: bilinear]
    #[arg(long, value_name = "FILTER", value_parser = clap::value_parser!(Filter), help_heading = "Preparation")]
    filter: Option<Filter>,
    /// The part of a picture that is kept: a share in the middle, centre, top, bottom, left, right, or x,y,w,h [default: 1]
    #[arg(long, value_name = "PART", value_parser = clap::value_parser!(Crop), help_heading = "Preparation")]
    crop: Option<Crop>,
    /// The channels in the network's order: rgb, bgr or grey [default: rgb, or grey where the file says that there is one]
    #[arg(long, value_name = "ORDER", value_parser = channels, help_heading = "Preparation")]
    channels: Option<Channels>,
    /// The order of the input's dimensions: nchw or nhwc [default: as the file says]
    #[arg(long, value_name = "ORDER", value_parser = layout, help_heading = "Preparation")]
    layout: Option<Layout>,
    /// What pixel values become before the mean is subtracted: 0-1 or 0-255
    #[arg(long, value_name = "RANGE", value_parser = range, help_heading = "Preparation")]
    range: Option<ValueRange>,
    /// Subtracted from each channel; one number stands for all
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        allow_negative_numbers = true,
        help_heading = "Preparation"
    )]
    mean: Vec<f64>,
    /// What each channel is divided by; one number stands for all
    #[arg(long, value_name = "N,...", value_delimiter = ',', help_heading = "Preparation")]
    std: Vec<f64>,
    /// The value that is the embedding: an output, or what any node computes [default: the only output]
    #[arg(long, value_name = "VALUE", help_heading = "Embedding")]
    output: Option<String>,
    /// How the output becomes one vector: none, mean (over tokens or places) or cls (the first token) [default: what alone fits]
    #[arg(long, value_name = "HOW", value_parser = clap::value_parser!(Pooling), help_heading = "Embedding")]
    pool: Option<Pooling>,
    /// Whether embeddings are scaled to unit length, so that distances order as cosines do [default: true, but for dlib]
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set, help_heading = "Embedding")]
    normalize: Option<bool>,
    /// The licence of the weights, as in Apache-2.0
    #[arg(long, value_name = "LICENCE")]
    licence: Option<String>,
    /// Where the model comes from [default: the file's name]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Seconds that the test run may take
    #[arg(long, value_name = "SECONDS", default_value_t = MOST_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: u64,
    /// Replace an existing manifest, or an encoder of the same name
    #[arg(long)]
    force: bool,
}

impl SetupArgs {
    /// Whether what is there may be replaced.
    pub(super) fn is_forced(&self) -> bool {
        self.force
    }
}

pub(super) fn size(text: &str) -> Result<[usize; 2], String> {
    let wish: alike::data::PreparationWish = format!("size={text}").parse()?;
    wish.size.ok_or_else(|| "give a height and a width, as in 224x224".to_owned())
}

fn channels(text: &str) -> Result<Channels, String> {
    match text {
        "rgb" => Ok(Channels::Rgb),
        "bgr" => Ok(Channels::Bgr),
        "grey" | "gray" => Ok(Channels::Grey),
        _ => Err("give rgb, bgr or grey".to_owned()),
    }
}

pub(super) fn layout(text: &str) -> Result<Layout, String> {
    match text {
        "nchw" => Ok(Layout::Nchw),
        "nhwc" => Ok(Layout::Nhwc),
        _ => Err("give nchw (channels before height and width) or nhwc (after them)".to_owned()),
    }
}

pub(super) fn range(text: &str) -> Result<ValueRange, String> {
    match text {
        "0-1" => Ok(ValueRange::Unit),
        "0-255" => Ok(ValueRange::Byte),
        _ => Err("give 0-1 or 0-255".to_owned()),
    }
}

/// What `alike encoders add --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AddedEncoder<'a> {
    /// Its name, if it was given one.
    name: Option<&'a str>,
    /// The ONNX file.
    model: &'a Path,
    /// What was written beside it.
    manifest: &'a Manifest,
    /// The test run.
    tried: Tried,
}

pub(super) fn run(args: &AddArgs, global: &Global) -> anyhow::Result<()> {
    add(&model(&args.file)?, args.name.as_deref(), &args.setup, Draft::default(), global)
}

/// Makes an encoder of a file, of which something may be `known` beside what the user says.
pub(super) fn add(
    file: &Path,
    name: Option<&str>,
    args: &SetupArgs,
    known: Draft,
    global: &Global,
) -> anyhow::Result<()> {
    let beside = Manifest::beside(file);
    let store = match name {
        Some(name) => {
            let store = EncoderStore::of_user()?;
            store.check_name(name, args.force)?;
            Some((store, name))
        }
        None => {
            refuse_existing(&[&beside], args.force)?;
            None
        }
    };
    let isolation = isolation(args.time_limit, global)?;
    let contents = isolation.contents(file)?;
    let manifest = manifest(args, known, name.is_some(), (file, &contents), global)?;
    let tried = isolation.try_run(file, &manifest)?;
    let added = match &store {
        Some((store, name)) => store.add(name, file, &manifest, args.force)?,
        None => {
            let written = files::write(&beside, manifest.to_text().as_bytes());
            written.context(
                "the manifest lies beside the model; --name NAME copies both into a folder of yours",
            )?;
            file.to_owned()
        }
    };
    remember(&manifest);
    if global.json {
        return json(&AddedEncoder { name, model: &added, manifest: &manifest, tried });
    }
    let p = &manifest.preparation;
    note(
        global,
        format!(
            "output '{}', pooling {}, {}; pictures: {}; mean {:?}, std {:?}",
            manifest.output,
            manifest.pooling,
            if manifest.normalize { "scaled to unit length" } else { "as it is" },
            p.pictures(),
            p.mean,
            p.std
        ),
    );
    if manifest.licence.is_empty() {
        note(global, "no licence is written down; --licence does so");
    }
    line(format!(
        "{}: {} numbers an image, {:.1} ms an image on one thread",
        name.map_or_else(|| added.display().to_string(), str::to_owned),
        tried.dimension,
        tried.milliseconds
    ))
}

/// What the user says, over what is known, over what a manifest beside the file says, over what the file says.
fn manifest(
    args: &SetupArgs,
    known: Draft,
    named_anew: bool,
    (file, contents): (&Path, &Contents),
    global: &Global,
) -> anyhow::Result<Manifest> {
    let list = |v: &Vec<f64>| Some(v.clone()).filter(|v| !v.is_empty());
    let said = Draft {
        preset: args.preset,
        output: args.output.clone(),
        pooling: args.pool,
        normalize: args.normalize,
        size: args.size,
        resize: args.resize,
        filter: args.filter,
        crop: args.crop,
        channels: args.channels,
        layout: args.layout,
        range: args.range,
        mean: list(&args.mean),
        std: list(&args.std),
        licence: args.licence.clone(),
        source: args.source.clone(),
    }
    .or(known);
    // Where nobody says more, the file's name tells a copy from others, and finds its reference outputs.
    let named =
        Draft { source: file.file_name().map(|n| n.to_string_lossy().into_owned()), ..Draft::default() };
    let draft = match Manifest::of(file) {
        Ok(there) => said.or(Draft::of(&there)),
        Err(OnnxError::NoManifest { .. }) => said.or(named),
        // It is replaced.
        Err(_) if args.force && !named_anew => said.or(named),
        Err(e) => return Err(e.into()),
    };
    let sha256 = sha256_hex(&files::read(file, Limit::Model)?);
    let external = external_files(file, &contents.external_data)?;
    let external: BTreeMap<String, String> =
        external.into_iter().map(|(name, bytes)| (name, sha256_hex(&bytes))).collect();
    match draft.clone().finish(file, contents, sha256.clone(), external.clone()) {
        Err(e @ OnnxError::Missing { .. }) => {
            let OnnxError::Missing { settings, .. } = &e else { unreachable!("matched above") };
            if let Some(answered) = asked(settings, contents, global)? {
                return Ok(answered.or(draft).finish(file, contents, sha256, external)?);
            }
            let preparation = [Setting::Range, Setting::Mean, Setting::Std];
            let flags: Vec<&str> = settings.iter().map(|s| flag(*s)).collect();
            let or = if settings.iter().any(|s| preparation.contains(s)) {
                format!("; --preset ({}) says the preparation of a family", Preset::NAMES.join(", "))
            } else {
                String::new()
            };
            bail!("{e}; say so with {}{or}", flags.join(", "))
        }
        other => Ok(other?),
    }
}

/// What a person answers where one can be asked: on a terminal, unless only a result is wanted.
fn asked(settings: &[Setting], contents: &Contents, global: &Global) -> anyhow::Result<Option<Draft>> {
    let (input, output) = (std::io::stdin(), std::io::stderr());
    if global.json || global.quiet || !input.is_terminal() || !output.is_terminal() {
        return Ok(None);
    }
    note(global, "the file does not say:");
    let answered = ask(settings, contents, &mut input.lock(), &mut output.lock())?;
    Ok(answered.map(|(draft, options)| {
        note(global, format!("the same without questions: {options}"));
        draft
    }))
}

/// The flag that says what is missing.
pub(super) fn flag(setting: Setting) -> &'static str {
    match setting {
        Setting::Output => "--output",
        Setting::Pooling => "--pool",
        Setting::Size => "--size",
        Setting::Layout => "--layout",
        Setting::Range => "--range",
        Setting::Mean => "--mean",
        Setting::Std => "--std",
        _ => "another option",
    }
}
