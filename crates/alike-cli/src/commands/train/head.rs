//! A head on an encoder that others trained.

use super::{TrainArgs, stop};
use crate::args::Global;
use crate::encoders;
use crate::printer::{Bars, note};
use alike::data::{Dataset, PreparationWish, Request, find_classes};
use alike::encoder::{Encoder, embedded};
use alike::train::Settings;
use alike::tune::choose_head;
use anyhow::{Context, bail, ensure};
use std::path::Path;

/// The encoder below a head.
pub(super) struct Base {
    /// By which it is found again: its name, or the whole path of its file.
    name: String,
    encoder: Box<dyn Encoder>,
}

/// Whether the user leaves the head to be chosen.
pub(super) fn is_free(args: &TrainArgs) -> bool {
    args.recipe == "auto" && super::given(args).is_empty() && args.network.embedding.is_none()
}

impl Base {
    pub(super) fn open(what: &Path, args: &TrainArgs, global: &Global) -> anyhow::Result<Base> {
        let encoder = encoders::open(what, global)?.with_context(|| {
            format!(
                "{} is no encoder: give an ONNX file or a name; alike encoders list shows those there are",
                what.display()
            )
        })?;
        if let Some(before) = &args.encoder_fingerprint {
            ensure!(
                *before == encoder.facts().fingerprint,
                "--encoder-fingerprint: {} is another encoder than it was when these settings were written",
                what.display()
            );
        }
        let name = if what.is_file() {
            what.canonicalize()?.display().to_string()
        } else {
            what.display().to_string()
        };
        Ok(Base { name, encoder })
    }

    /// The encoder that a run's head stands on.
    pub(super) fn of_run(name: &str, settings: &Settings, global: &Global) -> anyhow::Result<Base> {
        let encoder = encoders::open(Path::new(name), global)?
            .with_context(|| format!("the encoder '{name}', on which this run is a head, is not here"))?;
        if settings.encoder_fingerprint.as_ref().is_some_and(|f| *f != encoder.facts().fingerprint) {
            bail!(
                "the run was trained on the embeddings of another encoder than the one that '{name}' names now"
            );
        }
        Ok(Base { name: name.to_owned(), encoder })
    }

    /// What is asked for, prepared as the encoder says.
    pub(super) fn request(&self, request: &Request) -> anyhow::Result<Request> {
        let usual = self.encoder.facts().preparation;
        let prepared = request.prepare.over(usual);
        ensure!(
            request.prepare == PreparationWish::default() || prepared.shape == usual.shape,
            "--prepare makes images of {}, but the encoder takes {}",
            prepared.shape,
            usual.shape
        );
        Ok(Request { prepare: request.prepare.or(usual), ..request.clone() })
    }

    /// The embeddings of a set's pictures in their place.
    pub(super) fn embed(&self, data: &Dataset) -> anyhow::Result<Dataset> {
        Ok(embedded(data, &*self.encoder)?)
    }

    /// The head that cross-validation finds best.
    pub(super) fn choose(
        &self,
        args: &TrainArgs,
        seed: u64,
        data: &Dataset,
        global: &Global,
    ) -> anyhow::Result<Settings> {
        let excluded = find_classes(data, &args.exclude_class)?;
        let choice = choose_head(data, &excluded, seed, &mut Bars::new(global), stop()?)?
            .context("stopped before a head was chosen; nothing was written")?;
        if !choice.scores.is_empty() {
            note(global, "head             1-NN    MAP@R   gain [95 % interval]");
        }
        for s in &choice.scores {
            let [low, high] = s.interval.map(|v| 100.0 * v);
            note(
                global,
                format!(
                    "{:14} {:6.2} % {:6.2} % {:+6.2} [{low:+.2}, {high:+.2}]{}",
                    s.name,
                    100.0 * s.accuracy,
                    100.0 * s.map_at_r,
                    100.0 * s.gain,
                    if s.chosen { "  chosen" } else { "" }
                ),
            );
        }
        note(global, format!("auto: {}", choice.sentence()));
        let validate = args.validate.unwrap_or(0.0);
        Ok(Settings { exclude_class: excluded, validate, data: data.name.clone(), ..choice.settings })
    }

    /// Writes down what embeds.
    pub(super) fn keep(&self, settings: &mut Settings) {
        settings.encoder = Some(self.name.clone());
        settings.encoder_fingerprint = Some(self.encoder.facts().fingerprint.clone());
        settings.encoder_runtime = encoders::runtime().map(str::to_owned);
    }
}
