//! A model put to use: it embeds pictures, and knows others to compare them with.

use crate::args::{Global, OnErrorArg, PicturesArgs};
use crate::commands::{data_of, places, remark, settings};
use crate::embedder::Embedder;
use crate::printer::Bars;
use alike::data::{Dataset, OnError, Preparation, Split, find_class, load_pictures};
use alike::gallery::{Gallery, GalleryError};
use alike::identity::{Identities, Shared};
use alike::images::{Features, Images, Shape};
use alike::train::Run;
use alike_kernels::Tier;
use anyhow::ensure;
use std::path::{Path, PathBuf};

/// A trained network, ready to embed.
pub(crate) struct Model<'a> {
    run: Run,
    embedder: Embedder,
    preparation: Preparation,
    on_error: OnError,
    global: &'a Global,
}

/// Embedded images, and where to find them again for a figure.
pub(crate) struct Known {
    pub(crate) gallery: Gallery,
    /// By image: which of `sources` it is in, and where; nothing where only its name is known.
    places: Vec<Option<(usize, usize)>>,
    sources: Vec<Images>,
}

impl<'a> Model<'a> {
    pub(crate) fn open(folder: &Path, how: &PicturesArgs, global: &'a Global) -> anyhow::Result<Model<'a>> {
        let run = Run::open(folder)?;
        let checkpoint = run.best()?;
        let input = checkpoint.network.input();
        let preparation = how.prepare.unwrap_or_default().over(checkpoint.preparation);
        ensure!(
            preparation.shape == input,
            "--prepare makes images of {}, but the network takes {input}",
            preparation.shape
        );
        let embedder = Embedder::new(checkpoint, &how.with, how.flip)?;
        let on_error = OnErrorArg::or_fail(how.on_error);
        Ok(Model { run, embedder, preparation, on_error, global })
    }

    pub(crate) fn tier(&self) -> Tier {
        self.embedder.tier()
    }

    /// Reads pictures, or folders and files of them, prepared as the model says.
    pub(crate) fn pictures(&self, paths: &[PathBuf]) -> anyhow::Result<Dataset> {
        let mut bars = Bars::new(self.global);
        let data = load_pictures(paths, &self.preparation, self.on_error, &places(self.global), &mut bars)?;
        remark(&data, self.global);
        Ok(data)
    }

    pub(crate) fn embed(&mut self, images: &Images) -> anyhow::Result<Features> {
        self.embedder.embed(images)
    }

    /// What embeds.
    pub(crate) fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// What alike embed wrote, refused if it is another model's.
    pub(crate) fn kept(&self, npy: &Path) -> Result<Gallery, GalleryError> {
        Gallery::read(npy, &self.embedder.fingerprint(), self.embedder.width())
    }

    /// Images of a part of a data set, embedded.
    pub(crate) fn gallery(&mut self, data: &Dataset, split: &Split) -> anyhow::Result<Gallery> {
        let features = self.embed(&split.images)?;
        Ok(Gallery::new(data, split, features, self.embedder.fingerprint()))
    }

    /// The data that the run was made from.
    pub(crate) fn own_data(&self) -> anyhow::Result<Dataset> {
        let data = data_of(&self.run, &settings(&self.run)?, self.global)?;
        ensure!(
            data.shape() == self.embedder.first().network.input(),
            "{} has images of {}, but the network was trained on {}",
            data.name,
            data.shape(),
            self.embedder.first().network.input()
        );
        Ok(data)
    }

    /// The classes that the run was not to learn.
    pub(crate) fn excluded(&self, data: &Dataset) -> anyhow::Result<Vec<u32>> {
        let names = settings(&self.run)?.exclude_class;
        Ok(names.iter().map(|name| find_class(data, name)).collect::<Result<_, _>>()?)
    }

    /// Embedded images of all `paths`: what alike embed wrote is read, all else is embedded.
    pub(crate) fn known(&mut self, paths: &[PathBuf]) -> anyhow::Result<Known> {
        let mut all: Option<Known> = None;
        for path in paths {
            let more = if Gallery::is(path) {
                let gallery = self.kept(path)?;
                Known { places: vec![None; gallery.len()], sources: Vec::new(), gallery }
            } else {
                let data = self.pictures(std::slice::from_ref(path))?;
                Known::of(self.gallery(&data, &data.train)?, data.train.images)
            };
            match &mut all {
                None => all = Some(more),
                Some(known) => known.append(more),
            }
        }
        all.map(Known::sorted).ok_or_else(|| anyhow::anyhow!("there is nothing to compare with"))
    }

    /// A part of the run's own data, embedded.
    pub(crate) fn own(&mut self, data: &Dataset, split: &Split) -> anyhow::Result<Known> {
        Ok(Known::of(self.gallery(data, split)?, split.images.clone()))
    }

    /// The pictures that are to be shown of known images: those in memory, and those whose files are still there.
    pub(crate) fn find(&self, known: &Known, i: usize) -> Option<(Images, usize)> {
        if let Some((source, at)) = known.places[i] {
            return Some((known.sources[source].clone(), at));
        }
        let path = PathBuf::from(&known.gallery.names[i]);
        if !path.is_file() {
            return None;
        }
        let paths = std::slice::from_ref(&path);
        let mut quiet = alike::data::Quiet;
        let data = load_pictures(paths, &self.preparation, OnError::Fail, &places(self.global), &mut quiet);
        data.ok().map(|d| (d.train.images, 0))
    }

    /// A picture of nothing, for what cannot be shown.
    pub(crate) fn blank(&self) -> Images {
        let Shape { h, w, c } = self.embedder.first().network.input();
        Images::new(Shape { h, w, c }, vec![0; h * w * c])
    }
}

impl Known {
    fn of(gallery: Gallery, images: Images) -> Known {
        Known { places: (0..gallery.len()).map(|i| Some((0, i))).collect(), sources: vec![images], gallery }
    }

    /// In an order of its own, each picture once: a picture that several paths lead to is one.
    fn sorted(mut self) -> Known {
        let order = self.gallery.sort();
        let twice = self.gallery.identities.repeated();
        let first = |i: &usize| {
            twice.as_ref().is_none_or(|t| {
                let first = t.gallery[*i] as usize;
                first == *i || self.gallery.class(first) != self.gallery.class(*i)
            })
        };
        let once: Vec<usize> = (0..order.len()).filter(first).collect();
        let places = once.iter().map(|i| self.places[order[*i]]).collect();
        Known { gallery: self.gallery.select(&once), places, sources: self.sources }
    }

    fn append(&mut self, more: Known) {
        let before = self.sources.len();
        self.places.extend(more.places.iter().map(|p| p.map(|(source, i)| (source + before, i))));
        self.sources.extend(more.sources);
        self.gallery.append(&more.gallery);
    }

    /// Which queries are images of the gallery, so that none is its own neighbour.
    pub(crate) fn same(&self, queries: &Identities) -> Option<Shared> {
        Identities::shared(queries, &self.gallery.identities)
    }
}
