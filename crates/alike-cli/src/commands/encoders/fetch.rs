//! `alike encoders fetch`.

use super::add::{SetupArgs, add};
use crate::args::Global;
use crate::bars::Bars;
use crate::encoders::{MOST_SECONDS, isolation};
use crate::printer::note;
use alike::suggest::did_you_mean;
use alike_onnx::{Draft, Hub, HubFile, KNOWN_ENCODERS, KnownEncoder};
use anyhow::{Context, bail};
use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Files are kept where the hub's own tools keep them (HF_HUB_CACHE, HF_HOME); HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN hold.

Examples:
  alike encoders fetch dinov2-small                     by name: alike encoders list shows which there are
  alike encoders fetch hf:OWNER/REPO/onnx/model.onnx --name mine --preset imagenet
  alike encoders fetch hf:OWNER/REPO@v1.0/model.onnx --name mine --preset clip"
)]
pub(crate) struct FetchArgs {
    /// An encoder's name, or the address of a file on the Hugging Face Hub: hf:OWNER/REPO[@REVISION]/FILE
    #[arg(value_name = "NAME|ADDRESS")]
    what: String,
    /// The name that it gets [default: its own; an address needs one]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    setup: SetupArgs,
}

pub(super) fn run(args: &FetchArgs, global: &Global) -> anyhow::Result<()> {
    let known = KnownEncoder::find(&args.what);
    let (file, name, draft): (HubFile, &str, Draft) = match known {
        Some(known) => (known.address.parse()?, known.name, known.draft()),
        None if args.what.starts_with("hf:") => {
            let name = args.name.as_deref().context("an address gives no name; give one with --name")?;
            let source = Some(args.what.clone());
            (args.what.parse()?, name, Draft { source, ..Draft::default() })
        }
        None => {
            let names = KNOWN_ENCODERS.map(|e| e.name);
            let hint = did_you_mean(&args.what, names);
            bail!(
                "no encoder '{}' is known{hint} (known: {}; or give hf:OWNER/REPO/FILE)",
                args.what,
                names.join(", ")
            )
        }
    };
    let name = args.name.as_deref().unwrap_or(name);
    // Before minutes are spent.
    alike_onnx::EncoderStore::of_user()?.check_name(name, args.setup.is_forced())?;
    if let Some(known) = known {
        note(
            global,
            format!("{}: {}, {} MB; licence: {}", known.name, known.about, known.megabytes, known.licence),
        );
        if known.non_commercial {
            note(global, "its licence forbids commercial use");
        }
        note(
            global,
            "its address, size and preparation were not checked against the hub; alike encoders show tells what came",
        );
    }
    let hub = Hub::from_env(global.offline)?;
    let model = hub.fetch(&file, &mut Bars::new(global))?;
    // Weights that lie beside it.
    for external in &isolation(MOST_SECONDS, global)?.contents(&model)?.external_data {
        hub.fetch(&file.beside(external), &mut Bars::new(global))?;
    }
    add(&model, Some(name), &args.setup, draft, global)
}
