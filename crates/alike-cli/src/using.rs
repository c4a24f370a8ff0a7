//! A model put to use: it embeds pictures, and knows others to compare them with.

use crate::args::{Global, OnErrorArg, PicturesArgs};
use crate::commands::{data_of, places, remark, settings};
use crate::embedder::Embedder;
use crate::printer::{Bars, note};
use alike::data::{Dataset, OnError, Preparation, Quiet, Source, Split, find_class, load_pictures};
use alike::eval::Bursts;
use alike::gallery::{Gallery, GalleryError};
use alike::identity::{Identities, NO_GROUP, Shared};
use alike::images::{Features, Images, Shape};
use alike::train::{Run, Settings, divide};
use alike_kernels::Tier;
use anyhow::{bail, ensure};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// A trained network, ready to embed.
pub(crate) struct Model<'a> {
    run: Run,
    settings: Settings,
    embedder: Embedder,
    preparation: Preparation,
    on_error: OnError,
    global: &'a Global,
}

/// Embedded images, and where to find them again for a figure.
pub(crate) struct Known {
    pub(crate) gallery: Gallery,
    /// What a user calls them.
    name: String,
    /// Whether they are the run's own images, so that `trained` knows all that the run learned from among them.
    is_own: bool,
    /// By image: whether the run learned from it; nothing where nobody knows.
    trained: Vec<Option<bool>>,
    /// By image: which of `sources` it is in, and where; nothing where only its name is known.
    places: Vec<Option<(usize, usize)>>,
    sources: Vec<Images>,
}

/// What answers: every answer names it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answering {
    /// What a user calls it.
    pub(crate) name: String,
    pub(crate) images: usize,
    /// Classes that it has images of.
    pub(crate) classes: usize,
    /// Images that the run learned from, where that is known.
    pub(crate) trained_on: Option<usize>,
}

impl Answering {
    /// In words.
    pub(crate) fn sentence(&self) -> String {
        let classes = match self.classes {
            0 => String::new(),
            1 => " of one class".to_owned(),
            n => format!(" of {n} classes"),
        };
        let trained = match self.trained_on {
            None | Some(0) => String::new(),
            Some(n) if n == self.images => ", all of them trained on".to_owned(),
            Some(n) => format!(", {n} of them trained on"),
        };
        format!("{}: {} images{classes}{trained}", self.name, self.images)
    }
}

/// Names that a note lists.
const NAMED: usize = 3;

impl<'a> Model<'a> {
    pub(crate) fn open(folder: &Path, how: &PicturesArgs, global: &'a Global) -> anyhow::Result<Model<'a>> {
        let run = Run::open(folder)?;
        let settings = settings(&run)?;
        let checkpoint = run.best()?;
        let input = checkpoint.network.input();
        ensure!(
            how.prepare.is_none() || !input.is_features(),
            "{} was trained on features, which are taken as they are; leave --prepare out",
            folder.display()
        );
        let preparation = how.prepare.unwrap_or_default().over(checkpoint.preparation);
        ensure!(
            preparation.shape == input,
            "--prepare makes images of {}, but the network takes {input}",
            preparation.shape
        );
        let embedder = Embedder::new(checkpoint, &how.with, how.flip)?;
        let on_error = OnErrorArg::or_fail(how.on_error);
        Ok(Model { run, settings, embedder, preparation, on_error, global })
    }

    pub(crate) fn tier(&self) -> Tier {
        self.embedder.tier()
    }

    /// Reads pictures, or folders and files of them, prepared as the model says, and their classes as the run has them.
    pub(crate) fn pictures(&self, paths: &[PathBuf]) -> anyhow::Result<Dataset> {
        let mut bars = Bars::new(self.global);
        let nested = self.settings.nested;
        let places = places(self.global);
        let data = load_pictures(paths, &self.preparation, nested, self.on_error, &places, &mut bars)?;
        remark(&data, self.global);
        Ok(data)
    }

    /// Two pictures that are to be compared by `verb`.
    pub(crate) fn two(&self, a: &Path, b: &Path, verb: &str) -> anyhow::Result<Dataset> {
        let one_file = |p: &Path| p.canonicalize().ok().filter(|p| p.is_file());
        if let (Some(one), Some(two)) = (one_file(a), one_file(b)) {
            ensure!(
                one != two,
                "{} and {} are the same file, so {verb} has nothing to compare; give another image",
                a.display(),
                b.display()
            );
        }
        if let Some(folder) = [a, b].into_iter().find(|p| p.is_dir()) {
            bail!("{verb} compares two images, but {} is a folder", folder.display());
        }
        let two = self.pictures(&[a.to_owned(), b.to_owned()])?;
        ensure!(two.train.len() == 2, "{verb} compares two images, but {} were read", two.train.len());
        Ok(two)
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
        let data = data_of(&self.run, &self.settings, self.global)?;
        ensure!(
            data.shape() == self.embedder.first().network.input(),
            "{} has images of {}, but the network was trained on {}",
            data.name,
            data.shape(),
            self.embedder.first().network.input()
        );
        Ok(data)
    }

    /// The source of the run's own data, to be looked at again.
    pub(crate) fn source(&self) -> anyhow::Result<Source> {
        Ok(Source::again(&self.settings.request()?, &places(self.global), &mut Quiet)?)
    }

    /// The classes that the run was not to learn.
    pub(crate) fn excluded(&self, data: &Dataset) -> anyhow::Result<Vec<u32>> {
        let names = &self.settings.exclude_class;
        Ok(names.iter().map(|name| find_class(data, name)).collect::<Result<_, _>>()?)
    }

    /// By training image of the run's own data: whether the run learned from it.
    fn learned(&self, data: &Dataset) -> anyhow::Result<Vec<bool>> {
        let mut learned = vec![false; data.train.len()];
        let Settings { exclude_class, validate, seed, .. } = &self.settings;
        divide(data, exclude_class, *validate, *seed)?.0.into_iter().for_each(|i| learned[i] = true);
        Ok(learned)
    }

    /// Embedded images of all `paths`: what alike embed wrote is read, all else is embedded.
    pub(crate) fn known(&mut self, paths: &[PathBuf]) -> anyhow::Result<Known> {
        let mut all: Option<Known> = None;
        for path in paths {
            let more = if Gallery::is(path) {
                let gallery = self.kept(path)?;
                let n = gallery.len();
                Known {
                    places: vec![None; n],
                    trained: vec![None; n],
                    sources: Vec::new(),
                    name: String::new(),
                    is_own: false,
                    gallery,
                }
            } else {
                let data = self.pictures(std::slice::from_ref(path))?;
                Known::of(self.gallery(&data, &data.train)?, data.train.images)
            };
            match &mut all {
                None => all = Some(more),
                Some(known) => known.append(more),
            }
        }
        let mut all =
            all.map(Known::sorted).ok_or_else(|| anyhow::anyhow!("there is nothing to compare with"))?;
        all.name = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        if let Some(trained) = self.trained_places() {
            for (i, known) in all.trained.iter_mut().enumerate() {
                *known = all.gallery.identities.place(i).map(|place| trained.contains(place));
            }
        }
        Ok(all)
    }

    /// Where the images lie that the run learned from, if its data are still there.
    fn trained_places(&self) -> Option<HashSet<String>> {
        self.source().ok().map(|s| s.trained(&self.settings.exclude_class))
    }

    /// Some images of the run's own data, embedded; `learned`: the run learned from them.
    pub(crate) fn own(&mut self, data: &Dataset, split: &Split, part: &str) -> anyhow::Result<Known> {
        let mut known = Known::of(self.gallery(data, split)?, split.images.clone());
        known.name = format!("the run's own {part} images ({})", data.name);
        known.is_own = true;
        let ids = &mut known.gallery.identities;
        if (0..ids.len()).any(|i| ids.place(i).is_none()) {
            // Images of arrays lie nowhere; within their set they are told apart by part and number.
            let places: Vec<String> = (0..ids.len()).map(|i| format!("{}#{part}/{i}", data.origin)).collect();
            let keys = ids.keys().to_vec();
            *ids = Identities::new(keys.into_iter().zip(places.iter().map(String::as_str)));
        }
        Ok(known)
    }

    /// Some training images of the run's own data, embedded.
    pub(crate) fn own_training(&mut self, data: &Dataset, rows: &[usize]) -> anyhow::Result<Known> {
        let learned = self.learned(data)?;
        let mut known = self.own(data, &data.train.select(rows), "training")?;
        known.trained = rows.iter().map(|i| Some(learned[*i])).collect();
        Ok(known)
    }

    /// All images of the run's own data: those that it learned from, and those that were held back.
    pub(crate) fn own_all(&mut self, data: &Dataset) -> anyhow::Result<Known> {
        let mut known = self.own(data, &data.train, "training")?;
        known.trained = self.learned(data)?.into_iter().map(Some).collect();
        let gallery = data.given_gallery.as_ref().map(|g| (g, "gallery"));
        for (split, part) in [(&data.test, "test")].into_iter().chain(gallery) {
            let mut more = self.own(data, split, part)?;
            more.trained = vec![Some(false); split.len()];
            known.append(more);
        }
        let mut known = known.sorted();
        known.name = format!("the run's own images ({})", data.name);
        Ok(known)
    }

    /// Which of the images that are asked about the run learned from; says so, for their distances say little.
    pub(crate) fn asked_of_trained(&self, asked: &Dataset, known: Option<&Known>) -> Vec<bool> {
        let of = &asked.train.identities;
        let places: HashSet<String> = match known.filter(|k| k.is_own) {
            Some(known) => {
                let member = |i: &usize| known.trained[*i] == Some(true);
                let place = |i: usize| known.gallery.identities.place(i).map(str::to_owned);
                (0..known.gallery.len()).filter(member).filter_map(place).collect()
            }
            None => self.trained_places().unwrap_or_default(),
        };
        let trained: Vec<bool> =
            (0..of.len()).map(|i| of.place(i).is_some_and(|p| places.contains(p))).collect();
        let names: Vec<&str> = (0..of.len())
            .filter(|i| trained[*i])
            .filter_map(|i| Some(asked.train.names.get(i)?.as_str()))
            .collect();
        let n = trained.iter().filter(|t| **t).count();
        if n > 0 {
            let more = if n > NAMED { ", ..." } else { "" };
            let named = names[..names.len().min(NAMED)].join(", ");
            let (was, they) = if n == 1 { ("image was", "it lies") } else { ("images were", "they lie") };
            note(
                self.global,
                format!(
                    "{n} {was} trained on: {they} nearer to others than new images do, so distances say little: {named}{more}"
                ),
            );
        }
        trained
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
        let (places, nested) = (places(self.global), self.settings.nested);
        let data = load_pictures(paths, &self.preparation, nested, OnError::Fail, &places, &mut Quiet);
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
        let n = gallery.len();
        Known {
            places: (0..n).map(|i| Some((0, i))).collect(),
            trained: vec![None; n],
            sources: vec![images],
            name: String::new(),
            is_own: false,
            gallery,
        }
    }

    /// In an order of its own, each picture once: a picture that several paths lead to is one.
    fn sorted(mut self) -> Known {
        let order = self.gallery.sort();
        let mut trained: Vec<Option<bool>> = order.iter().map(|i| self.trained[*i]).collect();
        let twice = self.gallery.identities.repeated();
        let first = |i: &usize| {
            twice.as_ref().is_none_or(|t| {
                let first = t.gallery[*i] as usize;
                first == *i || self.gallery.class(first) != self.gallery.class(*i)
            })
        };
        // A picture that is in both parts was learned from.
        for i in twice.as_ref().map_or(0..0, |t| 0..t.gallery.len()) {
            let first = twice.as_ref().map_or(i, |t| t.gallery[i] as usize);
            if trained[i] == Some(true) {
                trained[first] = Some(true);
            }
        }
        let once: Vec<usize> = (0..order.len()).filter(first).collect();
        Known {
            places: once.iter().map(|i| self.places[order[*i]]).collect(),
            trained: once.iter().map(|i| trained[*i]).collect(),
            gallery: self.gallery.select(&once),
            ..self
        }
    }

    fn append(&mut self, more: Known) {
        let before = self.sources.len();
        self.places.extend(more.places.iter().map(|p| p.map(|(source, i)| (source + before, i))));
        self.sources.extend(more.sources);
        self.trained.extend(more.trained);
        self.gallery.append(&more.gallery);
    }

    /// The images at `rows`, in that order.
    pub(crate) fn select(&self, rows: &[usize]) -> Known {
        Known {
            gallery: self.gallery.select(rows),
            name: self.name.clone(),
            is_own: self.is_own,
            trained: rows.iter().map(|i| self.trained[*i]).collect(),
            places: rows.iter().map(|i| self.places[*i]).collect(),
            sources: self.sources.clone(),
        }
    }

    /// Gives it the name that answers call it by.
    pub(crate) fn call(&mut self, name: String) {
        self.name = name;
    }

    /// Only the images that have a class, and their labels.
    pub(crate) fn labelled(&self) -> (Known, Vec<u32>) {
        let labels = &self.gallery.labels;
        let rows: Vec<usize> = (0..labels.len()).filter(|i| labels[*i].is_some()).collect();
        (self.select(&rows), rows.iter().filter_map(|i| labels[*i]).collect())
    }

    /// Whether the run learned from an image, as far as that is known.
    pub(crate) fn trained(&self, i: usize) -> Option<bool> {
        self.trained[i]
    }

    /// What it is, for every answer.
    pub(crate) fn answering(&self) -> Answering {
        let classes: BTreeSet<u32> = self.gallery.labels.iter().flatten().copied().collect();
        let is_known = self.trained.iter().any(Option::is_some);
        Answering {
            name: self.name.clone(),
            images: self.gallery.len(),
            classes: classes.len(),
            trained_on: is_known.then(|| self.trained.iter().filter(|t| **t == Some(true)).count()),
        }
    }

    /// By image: its group's number, and the groups by name. Nothing where no image has a group.
    ///
    /// # Errors
    ///
    /// If some have a group and others have none, and groups are `asked` for.
    pub(crate) fn groups(&self, asked: bool) -> anyhow::Result<(Vec<u32>, BTreeMap<String, u32>)> {
        let groups = &self.gallery.groups;
        let without = if groups.is_empty() {
            self.gallery.len()
        } else {
            groups.iter().filter(|g| g.is_empty()).count()
        };
        if asked && without > 0 {
            bail!(
                "{without} of {} images of {} have no group to leave out; leave --leave-group out, or name every image's group in a column \
                 'group' of a table{}",
                self.gallery.len(),
                self.name,
                if self.sources.is_empty() { " and embed it anew" } else { "" }
            );
        }
        if without > 0 {
            return Ok((Vec::new(), BTreeMap::new()));
        }
        let each = numbers_of(groups);
        let numbers = groups.iter().cloned().zip(each.iter().copied()).collect();
        Ok((each, numbers))
    }

    /// What does not count for each of the images that are asked about: the picture itself, and its group if `leave_group` says so.
    pub(crate) fn own(&self, asked: &Dataset, leave_group: bool) -> anyhow::Result<Shared> {
        let split = &asked.train;
        let shared = Identities::shared(&split.identities, &self.gallery.identities)
            .unwrap_or_else(|| Shared::none(split.len(), self.gallery.len()));
        let mut groups = vec![NO_GROUP; split.len()];
        if leave_group {
            let (members, numbers) = self.groups(true)?;
            for (i, group) in groups.iter_mut().enumerate() {
                let named = split.groups.get(i).map(|g| &asked.group_names[*g as usize]);
                *group = match (named, members.get(shared.queries[i] as usize)) {
                    (Some(name), _) => numbers.get(name).copied().unwrap_or(NO_GROUP),
                    (None, Some(of_member)) => *of_member,
                    (None, None) => bail!(
                        "{} has no group to leave out; ask by a table with a column 'group', or leave --leave-group out",
                        split.names.get(i).map_or("an image", String::as_str)
                    ),
                };
            }
        }
        Ok(shared.of_groups(groups))
    }
}

/// What is left out when known images are compared with each other, as new ones will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Together {
    Image,
    Group,
    Burst,
}

impl Together {
    pub(crate) fn of(groups: &[u32], found: Option<&Bursts>) -> Together {
        match (groups, found) {
            (_, Some(_)) => Together::Burst,
            ([], None) => Together::Image,
            _ => Together::Group,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Together::Image => "image",
            Together::Group => "group",
            Together::Burst => "burst",
        }
    }

    pub(crate) fn left_out(self) -> &'static str {
        match self {
            Together::Image => "each left out",
            Together::Group => "each left out with its group",
            Together::Burst => "each left out with its burst",
        }
    }
}

/// Names of groups as numbers; nothing where an image has none.
pub(crate) fn numbers_of(groups: &[String]) -> Vec<u32> {
    if groups.iter().any(String::is_empty) {
        return Vec::new();
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let each = groups.iter().map(|g| {
        let next = numbers.len() as u32;
        *numbers.entry(g).or_insert(next)
    });
    each.collect()
}

/// What a user should know where images come in bursts.
pub(crate) fn bursts_sentence(found: &Bursts, what: &str) -> String {
    format!(
        "{} of {} {what} images come in {} bursts of near copies, so there are {} that are independent; each is left out with its burst. \
         If the bursts are none, or others, say which images belong together in a column 'group' of a table",
        found.images,
        found.groups.len(),
        found.bursts,
        found.independent()
    )
}

/// Those images whose class has others, of another group where there are groups.
pub(crate) fn with_others(labels: &[u32], groups: &[u32]) -> Vec<usize> {
    let mut counts: BTreeMap<(u32, Option<u32>), usize> = BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        *counts.entry((*label, None)).or_default() += 1;
        if let Some(group) = groups.get(i) {
            *counts.entry((*label, Some(*group))).or_default() += 1;
        }
    }
    let own = |i: usize| groups.get(i).map_or(1, |g| counts[&(labels[i], Some(*g))]);
    (0..labels.len()).filter(|i| counts[&(labels[*i], None)] > own(*i)).collect()
}
