//! A head on an encoder that others trained.

use super::copies::Augmented;
use super::framing::{framings, tell_framing};
use super::scores::tell_choice;
use super::{TrainArgs, stop};
use crate::args::Global;
use crate::bars::Bars;
use crate::commands::data_paths;
use crate::encoders;
use alike::data::{Augment, Crop, Dataset, Preparation, PreparationWish, Request, find_classes, load};
use alike::encoder::{Encoder, Mirrored, embedded, embedded_views};
use alike::train::Settings;
use alike::tune::{Framing, choose_framing, choose_head};
use anyhow::{Context, bail, ensure};
use std::path::Path;

/// The encoder below a head.
pub(super) struct Base {
    /// By which it is found again: its name, or the whole path of its file.
    name: String,
    encoder: Box<dyn Encoder>,
    /// What it is shown of each picture.
    framing: Framing,
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
        Ok(Base { name, encoder, framing: Framing::default() })
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
        // The part of each picture stands in the run's preparation.
        let framing = Framing { crop: None, flip: settings.flip };
        Ok(Base { name: name.to_owned(), encoder, framing })
    }

    /// What is asked for, prepared as the encoder says.
    pub(super) fn request(&self, request: &Request) -> anyhow::Result<Request> {
        self.request_of(request, self.framing.crop)
    }

    /// The same, with another part kept of each picture.
    fn request_of(&self, request: &Request, crop: Option<Crop>) -> anyhow::Result<Request> {
        let own = self.encoder.facts().preparation;
        let usual = Preparation { crop: crop.unwrap_or(own.crop), ..own };
        let prepared = request.prepare.over(usual);
        ensure!(
            request.prepare == PreparationWish::default() || prepared.shape == usual.shape,
            "--prepare makes images of {}, but the encoder takes {}",
            prepared.shape,
            usual.shape
        );
        Ok(Request { prepare: request.prepare.or(usual), ..request.clone() })
    }

    /// The embeddings of a set's pictures in their place, and of augmented copies where such are asked for.
    pub(super) fn embed(&self, pictures: &Dataset, augment: Option<&Augmented>) -> anyhow::Result<Dataset> {
        let mirrored = Mirrored::new(&*self.encoder);
        let encoder: &dyn Encoder = if self.framing.flip { &mirrored } else { &*self.encoder };
        let mut data = embedded(pictures, encoder)?;
        if let Some(Augmented { by, views }) = augment {
            data.views = embedded_views(pictures, encoder, by, *views)?;
        }
        Ok(data)
    }

    /// Decides what the encoder is shown of each picture: as flags say, or as suits the training images best.
    pub(super) fn choose_framing(
        &mut self,
        args: &TrainArgs,
        request: &Request,
        seed: u64,
        global: &Global,
    ) -> anyhow::Result<()> {
        let framings = framings(args);
        ensure!(
            args.crop.is_empty() || request.prepare.crop.is_none(),
            "--crop and the crop of --prepare say the same; give one of them"
        );
        if let [only] = framings[..] {
            self.framing = only;
            return Ok(());
        }
        let paths = data_paths(global);
        let mut prepared = |crop| -> anyhow::Result<Dataset> {
            Ok(load(&self.request_of(request, crop)?, &paths, &mut Bars::new(global))?)
        };
        let choice = choose_framing(&*self.encoder, &framings, &args.exclude_class, seed, &mut prepared)?;
        tell_framing(&choice, global);
        self.framing = choice.framing;
        Ok(())
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
        tell_choice("head", &choice, global);
        let validate = args.validate.unwrap_or(0.0);
        Ok(Settings { exclude_class: excluded, validate, data: data.name.clone(), ..choice.settings })
    }

    /// Writes down what embeds, and which copies of pictures.
    pub(super) fn keep(&self, settings: &mut Settings, augment: Option<&Augmented>) {
        // What a recipe says of augmentation is about pictures that are trained on.
        settings.augment = augment.map_or(Augment::None, |a| a.by);
        settings.views = augment.map_or(0, |a| a.views);
        settings.encoder = Some(self.name.clone());
        settings.flip = self.framing.flip;
        settings.encoder_fingerprint = Some(self.encoder.facts().fingerprint.clone());
        settings.encoder_runtime = encoders::runtime().map(str::to_owned);
    }
}
