//! A model put to use: an encoder, and the run that it came from if there is one.

use super::{Known, TaskError};
use crate::data::{
    DataPaths, Dataset, OnError, Preparation, PreparationWish, Progress, Quiet, Request, Resize, Source,
    Split, find_class, load, load_pictures,
};
use crate::encoder::{Encoder, Ensemble, Headed, Mirrored, Prepared, TrainedNetwork};
use crate::gallery::{Gallery, GalleryError};
use crate::identity::Identities;
use crate::images::{Features, Images, Shape};
use crate::model::Checkpoint;
use crate::train::{Run, Settings, divide};
use alike_kernels::Tier;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How a model is opened.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions {
    /// Further runs, whose embeddings are concatenated to the first: an ensemble.
    pub with: Vec<PathBuf>,
    /// Whether each image is embedded with its mirror image.
    pub flip: bool,
    /// How pictures are prepared otherwise than the model says.
    pub prepare: PreparationWish,
    /// What is done about pictures that cannot be read.
    pub on_error: OnError,
}

/// What a model is made from.
pub enum ModelSource {
    /// The best checkpoint of a run that takes pictures, or a user's own features.
    Run(Run),
    /// The best checkpoint of a run that is a head, and the encoder whose embeddings it takes.
    Head(Run, Box<dyn Encoder>),
    /// An encoder that was not trained here.
    Encoder {
        /// What a user calls it.
        name: String,
        /// What embeds.
        encoder: Box<dyn Encoder>,
    },
}

impl ModelSource {
    /// The run in a folder.
    ///
    /// # Errors
    ///
    /// If there is none, or it is a head on an encoder: see [`ModelSource::run_on`].
    pub fn run(folder: &Path) -> Result<ModelSource, TaskError> {
        ModelSource::run_on(folder, |name| Err(TaskError::NeedsEncoder(folder.to_owned(), name.to_owned())))
    }

    /// The run in a folder; if it is a head, `open` opens the encoder that it names.
    ///
    /// # Errors
    ///
    /// If there is none, `open` fails, or that encoder is not the one that the head was trained on.
    pub fn run_on<E: From<TaskError>>(
        folder: &Path,
        open: impl FnOnce(&str) -> Result<Box<dyn Encoder>, E>,
    ) -> Result<ModelSource, E> {
        let run = Run::open(folder).map_err(TaskError::from)?;
        let settings = run.settings().map_err(TaskError::from)?;
        let Some(name) = settings.encoder.clone() else { return Ok(ModelSource::Run(run)) };
        let base = open(&name)?;
        if settings.encoder_fingerprint.as_ref().is_some_and(|f| *f != base.facts().fingerprint) {
            return Err(TaskError::OtherEncoder { run: run.folder().to_owned(), encoder: name }.into());
        }
        Ok(ModelSource::Head(run, seen(base, &settings).map_err(E::from)?))
    }

    /// What a user calls it, and what embeds.
    fn member(self) -> Result<(PathBuf, Box<dyn Encoder>), TaskError> {
        Ok(match self {
            ModelSource::Run(run) => (run.folder().to_owned(), network_on(run.best()?, None)?),
            ModelSource::Head(run, base) => (run.folder().to_owned(), network_on(run.best()?, Some(base))?),
            ModelSource::Encoder { name, encoder } => (name.into(), encoder),
        })
    }
}

/// An encoder as a run's head was trained on it: for pictures prepared as then, and with mirror images if it had them.
fn seen(base: Box<dyn Encoder>, settings: &Settings) -> Result<Box<dyn Encoder>, TaskError> {
    let base: Box<dyn Encoder> = match settings.preparation()? {
        Some(preparation) => Box::new(Prepared::new(base, preparation)?),
        None => base,
    };
    Ok(if settings.flip { Box::new(Mirrored::new(base)) } else { base })
}

/// A trained network, on top of an encoder if there is one.
///
/// # Errors
///
/// If it takes other features than the encoder makes.
pub(super) fn network_on(
    checkpoint: Checkpoint,
    base: Option<Box<dyn Encoder>>,
) -> Result<Box<dyn Encoder>, TaskError> {
    let network = TrainedNetwork::new(checkpoint)?;
    Ok(match base {
        None => Box::new(network),
        Some(base) => Box::new(Headed::new(base, network)?),
    })
}

/// An encoder, and how pictures get to it.
pub struct Model {
    encoder: Box<dyn Encoder>,
    run: Option<(Run, Settings)>,
    preparation: Preparation,
    on_error: OnError,
    paths: DataPaths,
}

/// An encoder with others beside it, and with mirror images if it is to `flip`.
///
/// # Errors
///
/// If another cannot be opened, or prepares pictures in another way.
pub(super) fn combined(
    first: Box<dyn Encoder>,
    with: Vec<ModelSource>,
    flip: bool,
) -> Result<Box<dyn Encoder>, TaskError> {
    let member = |encoder: Box<dyn Encoder>| -> Box<dyn Encoder> {
        if flip { Box::new(Mirrored::new(encoder)) } else { encoder }
    };
    let own = first.facts().preparation;
    let mut members = vec![member(first)];
    for other in with {
        let (run, other) = other.member()?;
        let its = other.facts().preparation;
        if its != own {
            let (own, its) = (Box::new(own), Box::new(its));
            return Err(TaskError::OtherPreparation { run, own, its });
        }
        members.push(member(other));
    }
    Ok(if members.len() == 1 { members.remove(0) } else { Box::new(Ensemble::new(members)?) })
}

impl Model {
    /// The best checkpoint of a run.
    ///
    /// # Errors
    ///
    /// If a run cannot be opened, or the options do not fit it.
    pub fn open(folder: &Path, options: &ModelOptions, paths: DataPaths) -> Result<Model, TaskError> {
        let first = ModelSource::run(folder)?;
        let with = options.with.iter().map(|f| ModelSource::run(f)).collect::<Result<_, _>>()?;
        Model::assemble(first, with, options, paths)
    }

    /// A run or an encoder, and further ones `with` it, whose embeddings are concatenated to the first: an ensemble. Those that the
    /// options name are not asked for.
    ///
    /// # Errors
    ///
    /// If a run cannot be opened, or the options do not fit.
    pub fn assemble(
        first: ModelSource,
        with: Vec<ModelSource>,
        options: &ModelOptions,
        paths: DataPaths,
    ) -> Result<Model, TaskError> {
        let run = match &first {
            ModelSource::Run(run) | ModelSource::Head(run, _) => Some((run.clone(), run.settings()?)),
            ModelSource::Encoder { .. } => None,
        };
        let (name, encoder) = first.member()?;
        let usual = encoder.facts().preparation;
        if options.prepare != PreparationWish::default() && usual.shape.is_features() {
            return Err(TaskError::PreparedFeatures { run: name });
        }
        let preparation = options.prepare.over(usual);
        if preparation.shape != usual.shape {
            return Err(TaskError::PreparedShape { got: preparation.shape, takes: usual.shape });
        }
        let encoder = combined(encoder, with, options.flip)?;
        Ok(Model { encoder, run, preparation, on_error: options.on_error, paths })
    }

    /// An encoder of any kind, without images of its own.
    ///
    /// # Errors
    ///
    /// If `ALIKE_SIMD` names instructions that this machine does not have.
    pub fn of(encoder: Box<dyn Encoder>, paths: DataPaths) -> Result<Model, TaskError> {
        let preparation = encoder.facts().preparation;
        let on_error = OnError::default();
        // An encoder of another kind may not have asked.
        Tier::from_env()?;
        Ok(Model { encoder, run: None, preparation, on_error, paths })
    }

    /// What is done to a picture before it is embedded.
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// What is done about pictures that cannot be read.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    /// Whether a class of its run is the whole path of a folder.
    pub fn is_nested(&self) -> bool {
        self.nested()
    }

    /// What embeds.
    pub fn encoder(&self) -> &dyn Encoder {
        &*self.encoder
    }

    fn nested(&self) -> bool {
        self.run.as_ref().is_some_and(|(_, settings)| settings.nested)
    }

    /// Reads pictures, or folders and files of them, prepared as the model says, and their classes as its run has them.
    ///
    /// # Errors
    ///
    /// If one cannot be read, unless such are to be skipped.
    pub fn pictures(&self, paths: &[PathBuf], progress: &mut dyn Progress) -> Result<Dataset, TaskError> {
        let (nested, on_error) = (self.nested(), self.on_error);
        Ok(load_pictures(paths, &self.preparation, nested, on_error, &self.paths, progress)?)
    }

    /// Reads two pictures that are to be compared with each other.
    ///
    /// # Errors
    ///
    /// If they are one, or one of them is no picture.
    pub fn two(&self, a: &Path, b: &Path, progress: &mut dyn Progress) -> Result<Dataset, TaskError> {
        let one_file = |p: &Path| p.canonicalize().ok().filter(|p| p.is_file());
        if let (Some(one), Some(two)) = (one_file(a), one_file(b))
            && one == two
        {
            return Err(TaskError::SameFile([a.to_owned(), b.to_owned()]));
        }
        if let Some(folder) = [a, b].into_iter().find(|p| p.is_dir()) {
            return Err(TaskError::Folder(folder.to_owned()));
        }
        let two = self.pictures(&[a.to_owned(), b.to_owned()], progress)?;
        if two.train.len() == 2 { Ok(two) } else { Err(TaskError::NotTwo(two.train.len())) }
    }

    /// Embeds images: `n x dimension` floats.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn embed(&self, images: &Images) -> Result<Features, TaskError> {
        Ok(self.encoder.embed(images)?)
    }

    /// Reads embeddings that were kept.
    ///
    /// # Errors
    ///
    /// If they are another model's, or cannot be read.
    pub fn kept(&self, npy: &Path) -> Result<Gallery, GalleryError> {
        let facts = self.encoder.facts();
        Gallery::read(npy, &facts.fingerprint, facts.dimension)
    }

    /// Embeds the images of a part of a data set.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn gallery(&self, data: &Dataset, split: &Split) -> Result<Gallery, TaskError> {
        let features = self.embed(&split.images)?;
        Ok(Gallery::new(data, split, features, self.encoder.facts().fingerprint.clone()))
    }

    /// The run that it came from, and its settings.
    ///
    /// # Errors
    ///
    /// If it is no run's.
    pub fn run(&self) -> Result<(&Run, &Settings), TaskError> {
        self.run.as_ref().map(|(run, settings)| (run, settings)).ok_or(TaskError::NoImages)
    }

    /// The data that the run was made from.
    ///
    /// # Errors
    ///
    /// If they are not there any more, or have changed.
    pub fn own_data(&self, progress: &mut dyn Progress) -> Result<Dataset, TaskError> {
        let (run, settings) = self.run()?;
        self.fitting(run.data(settings, &self.paths, progress)?)
    }

    /// A data set of the user's, prepared as the model says where the request does not say otherwise.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or its images are not of the shape that the encoder takes.
    pub fn data(&self, mut request: Request, progress: &mut dyn Progress) -> Result<Dataset, TaskError> {
        request.nested |= self.nested() && Path::new(&request.what).is_dir();
        if !self.preparation.shape.is_features() {
            request.prepare = request.prepare.or(self.preparation);
        }
        self.fitting(load(&request, &self.paths, progress)?)
    }

    /// The data, if they are of the shape that the encoder takes.
    fn fitting(&self, data: Dataset) -> Result<Dataset, TaskError> {
        let takes = self.preparation.shape;
        if data.shape() == takes {
            return Ok(data);
        }
        let (got, takes) = (format!("images of {}", data.shape()), takes.to_string());
        Err(TaskError::Misfit { data: data.name, got, takes })
    }

    /// The classes that the run was not to learn.
    ///
    /// # Errors
    ///
    /// If one is not among the data's.
    pub fn excluded(&self, data: &Dataset) -> Result<Vec<u32>, TaskError> {
        let (_, settings) = self.run()?;
        Ok(settings.exclude_class.iter().map(|name| find_class(data, name)).collect::<Result<_, _>>()?)
    }

    /// By training image of the run's own data: whether the run learned from it.
    fn learned(&self, data: &Dataset) -> Result<Vec<bool>, TaskError> {
        let (_, Settings { exclude_class, validate, seed, .. }) = self.run()?;
        let mut learned = vec![false; data.train.len()];
        divide(data, exclude_class, *validate, *seed)?.0.into_iter().for_each(|i| learned[i] = true);
        Ok(learned)
    }

    /// Embedded images of all `paths`: embeddings that were kept are read, all else is embedded. `seen` is told of every set that
    /// was read.
    ///
    /// # Errors
    ///
    /// If there is none, or one cannot be read.
    pub fn known(
        &self,
        paths: &[PathBuf],
        progress: &mut dyn Progress,
        seen: impl FnMut(&Dataset),
    ) -> Result<Known, TaskError> {
        self.known_or(paths, progress, seen, |_| Ok(None))
    }

    /// As [`Model::known`], where `kept` may know a path as embeddings that were kept in another way.
    ///
    /// # Errors
    ///
    /// If there is none, or one cannot be read.
    pub fn known_or<E: From<TaskError>>(
        &self,
        paths: &[PathBuf],
        progress: &mut dyn Progress,
        mut seen: impl FnMut(&Dataset),
        mut kept: impl FnMut(&Path) -> Result<Option<Known>, E>,
    ) -> Result<Known, E> {
        let mut all: Option<Known> = None;
        for path in paths {
            let more = if let Some(known) = kept(path)? {
                known
            } else if Gallery::is(path) {
                Known::kept(self.kept(path).map_err(TaskError::from)?)
            } else {
                let data = self.pictures(std::slice::from_ref(path), progress)?;
                seen(&data);
                Known::of(self.gallery(&data, &data.train)?, data.train.images)
            };
            match &mut all {
                None => all = Some(more),
                Some(known) => known.append(more),
            }
        }
        let mut all = all.map(Known::sorted).ok_or(TaskError::NoGallery)?;
        all.call(paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "));
        if let Some(trained) = self.trained_places() {
            all.mark_trained(&trained);
        }
        Ok(all)
    }

    /// Where the images lie that the run learned from, if its data are still there.
    fn trained_places(&self) -> Option<HashSet<String>> {
        let (_, settings) = self.run().ok()?;
        Some(self.source()?.trained(&settings.exclude_class))
    }

    /// Some images of the run's own data, embedded.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn own(&self, data: &Dataset, split: &Split, part: &str) -> Result<Known, TaskError> {
        let mut gallery = self.gallery(data, split)?;
        let ids = &mut gallery.identities;
        if (0..ids.len()).any(|i| ids.place(i).is_none()) {
            // Images of arrays lie nowhere; within their set they are told apart by part and number.
            let places: Vec<String> = (0..ids.len()).map(|i| format!("{}#{part}/{i}", data.origin)).collect();
            let keys = ids.keys().to_vec();
            *ids = Identities::new(keys.into_iter().zip(places.iter().map(String::as_str)));
        }
        let mut known = Known::of(gallery, split.images.clone());
        known.call(format!("the run's own {part} images ({})", data.name));
        Ok(known.of_the_run())
    }

    /// Some training images of the run's own data, embedded.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn own_training(&self, data: &Dataset, rows: &[usize]) -> Result<Known, TaskError> {
        let learned = self.learned(data)?;
        let known = self.own(data, &data.train.select(rows), "training")?;
        Ok(known.with_trained(rows.iter().map(|i| Some(learned[*i])).collect()))
    }

    /// All images of the run's own data: those that it learned from, and those that were held back.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn own_all(&self, data: &Dataset) -> Result<Known, TaskError> {
        let learned = self.learned(data)?.into_iter().map(Some).collect();
        let mut known = self.own(data, &data.train, "training")?.with_trained(learned);
        let gallery = data.given_gallery.as_ref().map(|g| (g, "gallery"));
        for (split, part) in [(&data.test, "test")].into_iter().chain(gallery) {
            known.append(self.own(data, split, part)?.with_trained(vec![Some(false); split.len()]));
        }
        let mut known = known.sorted();
        known.call(format!("the run's own images ({})", data.name));
        Ok(known)
    }

    /// By image that is asked about: whether the run learned from it. The distances of such an image say little.
    pub fn asked_of_trained(&self, asked: &Dataset, known: Option<&Known>) -> Vec<bool> {
        let of = &asked.train.identities;
        let places = match known.and_then(Known::own_trained_places) {
            Some(places) => places,
            None => self.trained_places().unwrap_or_default(),
        };
        (0..of.len()).map(|i| of.place(i).is_some_and(|p| places.contains(p))).collect()
    }

    /// Where the run's own images lie, to be looked at again; nothing if they are not there any more.
    pub fn source(&self) -> Option<Source> {
        let (_, settings) = self.run().ok()?;
        Source::reopen(&settings.request().ok()?, &self.paths, &mut Quiet).ok()
    }

    /// The picture of a known image: one in memory, or one whose file is still there.
    pub fn find(&self, known: &Known, i: usize) -> Option<(Images, usize)> {
        if let Some(found) = known.picture(i) {
            return Some(found);
        }
        let path = PathBuf::from(&known.gallery.names[i]);
        if !path.is_file() {
            return None;
        }
        let (paths, shown) = (std::slice::from_ref(&path), self.shown());
        let data = load_pictures(paths, &shown, self.nested(), OnError::Fail, &self.paths, &mut Quiet);
        data.ok().map(|d| (d.train.images, 0))
    }

    /// How pictures are prepared to be shown: as for the network, or so that they can be seen where that takes features.
    fn shown(&self) -> Preparation {
        if self.preparation.shape.is_features() {
            Preparation { resize: Resize::Fit, ..Preparation::exact(SHOWN) }
        } else {
            self.preparation
        }
    }

    /// A black picture, for what cannot be shown.
    pub fn blank(&self) -> Images {
        let shape = self.shown().shape;
        Images::new(shape, vec![0; shape.len()])
    }
}

/// The size at which pictures of features are shown.
const SHOWN: Shape = Shape { h: 96, w: 96, c: 3 };
