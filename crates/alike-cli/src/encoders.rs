//! Encoders that others trained, as the command line finds and opens them.

use crate::args::Global;
use alike::encoder::Encoder;
use std::path::Path;

/// The encoder that a user means by an ONNX file or a name; nothing where neither is meant. What it embeds is kept in the cache.
#[cfg(feature = "onnx")]
pub(crate) fn open(what: &Path, global: &Global) -> anyhow::Result<Option<Box<dyn Encoder>>> {
    use alike::encoder::Cached;
    let Some(model) = onnx::find(what) else { return Ok(None) };
    let encoder = onnx::open(&model, global)?;
    let paths = crate::commands::data_paths(global);
    let cached = match paths.keep {
        alike::data::Keep::Memory => Cached::without_file(encoder),
        alike::data::Keep::Disk { .. } => Cached::new(encoder, &alike::data::image_cache(&paths)),
    };
    Ok(Some(Box::new(cached)))
}

/// In a build without ONNX, an ONNX file is refused and nothing has a name.
#[cfg(not(feature = "onnx"))]
pub(crate) fn open(what: &Path, _: &Global) -> anyhow::Result<Option<Box<dyn Encoder>>> {
    anyhow::ensure!(
        !what.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")),
        "{} cannot be read: this build of alike was made without the feature 'onnx'",
        what.display()
    );
    Ok(None)
}

/// What runs encoders, and its version.
pub(crate) fn runtime() -> Option<&'static str> {
    #[cfg(feature = "onnx")]
    return Some(alike_onnx::runtime());
    #[cfg(not(feature = "onnx"))]
    None
}

#[cfg(feature = "onnx")]
pub(crate) use onnx::{MOST_SECONDS, find, isolation, remember};

#[cfg(feature = "onnx")]
mod onnx {
    use super::{Global, Path};
    use crate::printer::note;
    use alike_onnx::{EncoderStore, Isolation, Manifest, OnnxEncoder, OnnxError};
    use std::path::PathBuf;

    /// The time that a test run may take, unless the user says otherwise.
    pub(crate) const MOST_SECONDS: u64 = 120;

    /// The ONNX file that a user means by its path, or by the name of an encoder.
    pub(crate) fn find(what: &Path) -> Option<PathBuf> {
        if what.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) {
            return Some(what.to_owned());
        }
        // A name is one word, no path.
        let name = what.to_str().filter(|name| !what.exists() && !name.contains(['/', '\\']))?;
        EncoderStore::of_user().ok()?.find(name)
    }

    /// How models are run that were never run before: by this program, in a process of its own.
    pub(crate) fn isolation(seconds: u64, global: &Global) -> anyhow::Result<Isolation> {
        choose_runtime(global)?;
        let program = std::env::current_exe()?;
        Ok(Isolation { program, arguments: ["encoders", "test-run"].map(Into::into).to_vec(), seconds })
    }

    /// Loads the ONNX Runtime that the user names, if any: none is looked for.
    fn choose_runtime(global: &Global) -> anyhow::Result<()> {
        let of_environment =
            || std::env::var_os("ALIKE_ONNXRUNTIME").filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(library) = global.onnxruntime.clone().or_else(of_environment) {
            alike_onnx::use_onnx_runtime(&library)?;
        }
        Ok(())
    }

    /// Opens an ONNX file, whose manifest lies beside it.
    pub(crate) fn open(model: &Path, global: &Global) -> anyhow::Result<OnnxEncoder> {
        // That the file is missing is worth more than that its manifest is.
        alike::files::open(model)?;
        let manifest = Manifest::of(model)?;
        choose_runtime(global)?;
        try_first(model, &manifest, global)?;
        Ok(OnnxEncoder::with_manifest(model, manifest)?)
    }

    /// Runs a model that nobody knows in a process of its own, and remembers that it ran.
    fn try_first(model: &Path, manifest: &Manifest, global: &Global) -> anyhow::Result<()> {
        if EncoderStore::of_user().is_ok_and(|store| store.is_tried(manifest)) {
            return Ok(());
        }
        note(global, format!("first, a test run of {} in a separate process", model.display()));
        isolation(MOST_SECONDS, global)?.try_run(model, manifest)?;
        remember(manifest);
        Ok(())
    }

    /// Remembers that a model was run. Where that cannot be written down, it is run again another time.
    pub(crate) fn remember(manifest: &Manifest) {
        let _: Result<(), OnnxError> =
            EncoderStore::of_user().and_then(|store| store.remember_tried(manifest));
    }
}
