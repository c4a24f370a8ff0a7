//! Settings found for a data set: what `--recipe auto` chooses, and why.
//!
//! Every choice is a rule over counts and sizes, never a timing, so the same set gets the same settings on every machine.

use super::rotations::QUARTERS;
use super::{Settings, Start, divide, resizing};
use crate::data::{Dataset, drawn};
use crate::files::FileError;
use crate::images::Shape;
use crate::model::{Network, named_network};

/// Floating-point operations that a run may take, about: minutes on two cores.
const WORK: f64 = 100e12;
/// The same of many photos: `resnet9` does fewer of them a second.
const PHOTO_WORK: f64 = 85e12;
/// Epochs are so many over the root of the number of images, but no more than 60: more passes over few images teach a network
/// those images rather than what they have in common (found on splits of the ORL faces that are not reported).
const EPOCHS: [f64; 2] = [4000.0, 60.0];
/// Steps that are needed, whatever there is to see.
const STEPS: f64 = 100.0;
/// Fewer images than this are few: the network is small and steps are half as long.
const FEW: usize = 3000;
// What many photos are learned by: the parts of published recipes for CIFAR-10 (Jordan 2024, <https://arxiv.org/abs/2404.00498>), with
// values found on training photos of CIFAR-10 that were held out.
const PHOTO_LOSS: &str = "normalized-softmax:smoothing=0.1,temperature=0.14";
/// For up to [`FEW_EPOCHS`], where milder changes were better; and for more, which were not searched.
const PHOTO_AUGMENTS: [&str; 2] = ["photo:pad=0.0625", "photo:cutout=0.25"];
const FEW_EPOCHS: u64 = 15;
const PHOTO_OPTIMIZER: &str = "muon:momentum=0.9";
const PHOTO_SCHEDULE: &str = "one-cycle:fall=sqrt,rise=0.1";
const PHOTO_RATE: f64 = 1e-2;
const PHOTO_DECAY: f64 = 0.5;
/// The side of photos in the first epoch, as a share of the full one. What it saves goes into more epochs.
const PHOTO_FIRST_SIZE: f64 = 0.625;
/// Sides of photos that the network for small ones is for; larger ones are halved sooner.
const SMALL_PHOTOS: std::ops::Range<usize> = 24..48;

/// What is known of a set before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatasetProfile {
    /// The images' shape.
    pub shape: Shape,
    /// Whether they are features.
    pub features: bool,
    /// Images that are trained on.
    pub images: usize,
    /// Classes that are trained on.
    pub classes: usize,
    /// Whether they are drawings, which must not be flipped.
    pub drawn: bool,
    /// Whether what is judged are other classes.
    pub open_set: bool,
    /// Whether other classes are among what is judged.
    pub unseen: bool,
    /// Whether images and classes are counted with their rotations.
    pub rotations: bool,
}

/// Settings and, in sentences, why.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoConfig {
    /// The settings.
    pub settings: Settings,
    /// What was chosen.
    pub why: Vec<AutoChoice>,
}

/// A choice and its reason, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoChoice {
    /// The settings that it is about, by their names in a run's `config.toml`: where one of them is given, it does not hold.
    pub about: &'static [&'static str],
    /// The sentence.
    pub text: String,
}

impl std::fmt::Display for AutoChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl DatasetProfile {
    /// The profile of a set, some of whose classes are not to be learned; without labels there are no classes.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn of(data: &Dataset, excluded: &[String]) -> Result<DatasetProfile, FileError> {
        // What is no class is refused when training begins.
        let there = |name: &&String| crate::data::find_class(data, name).is_ok();
        let excluded: Vec<String> = excluded.iter().filter(there).cloned().collect();
        let trained = divide(data, &excluded, 0.0, 0).map_or_else(|_| Vec::new(), |(trained, _)| trained);
        DatasetProfile::of_trained(data, &trained)
    }

    /// The profile of a set of which these images are trained on.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn of_trained(data: &Dataset, trained: &[usize]) -> Result<DatasetProfile, FileError> {
        let classes: std::collections::BTreeSet<u32> =
            trained.iter().map(|i| data.train.labels[*i]).collect();
        Ok(DatasetProfile {
            shape: data.shape(),
            features: data.train.images.are_floats(),
            images: trained.len(),
            classes: if data.labelled { classes.len() } else { 0 },
            drawn: drawn(&data.train.images)?,
            open_set: data.is_open_set(),
            unseen: data.labelled && data.test.labels.iter().any(|label| !classes.contains(label)),
            rotations: false,
        })
    }

    /// The profile of the same set with each class's rotations as further classes ([`Settings::rotations`]).
    pub fn with_rotations(self) -> DatasetProfile {
        let times = if self.rotations { 1 } else { QUARTERS };
        DatasetProfile { images: times * self.images, classes: times * self.classes, rotations: true, ..self }
    }

    /// Chooses.
    pub fn choose(&self, data: &str) -> AutoConfig {
        if let Some(recipe) =
            Settings::recipe("unseen", data).filter(|_| self.are_drawings_with_unseen_classes())
        {
            return self.with_rotations().for_unseen_classes(recipe);
        }
        let mut why: Vec<AutoChoice> = Vec::new();
        let mut say = |about: &'static [&'static str], text: String| why.push(AutoChoice { about, text });
        let supervised = self.classes > 1;
        let base = Settings::recipe("best", data).unwrap_or_else(|| Settings::seed_recipe(data));
        let (name, reason) = self.network();
        let network = named_network(name, self.shape).unwrap_or_else(|| base.network.clone());
        say(&["network"], format!("network {name}: {reason}"));
        let each = self.images as f64 / self.classes.max(1) as f64;
        let photos = self.are_many_photos();
        let (loss, sampler, batch);
        if !supervised {
            let fewer = if self.classes == 1 { "is one class" } else { "are no classes" };
            (loss, sampler) = ("nt-xent:temperature=0.2", "random".to_owned());
            batch = self.images.clamp(1, 128);
            say(
                &["self-supervised"],
                format!("self-supervised, by two views of each image, because there {fewer}"),
            );
            say(&["loss"], format!("loss {loss}: the two views of an image against all others"));
        } else if each < 50.0 || self.classes > 500 {
            // As many classes as there are, up to 64 of four images each.
            let classes = self.classes.min(64);
            let images = if classes < 16 { 8 } else { 4 };
            (loss, sampler) = ("multi-similarity", format!("pk:{classes}x{images}"));
            batch = classes * images;
            say(&["loss"], format!("loss {loss}: {each:.0} images a class are few"));
            say(
                &["sampler", "batch-size"],
                format!("sampler {sampler}: {classes} classes x {images} images a batch"),
            );
        } else if photos {
            (loss, sampler) = (PHOTO_LOSS, "random".to_owned());
            batch = 256;
            say(
                &["loss"],
                format!("loss {loss}: {} classes of {each:.0} photos each in the mean", self.classes),
            );
        } else {
            (loss, sampler) = ("proxy-anchor", "random".to_owned());
            batch = self.images.clamp(1, 128);
            say(
                &["loss"],
                format!("loss {loss}: {} classes of {each:.0} images each in the mean", self.classes),
            );
        }
        let first_size = if photos { PHOTO_FIRST_SIZE } else { base.first_size };
        if photos {
            let text = format!(
                "first size {first_size}: the first epochs see smaller photos, which leaves time for more epochs"
            );
            say(&["first-size", "network"], text);
        }
        let (epochs, seen) = self.epochs(&network, batch, supervised, first_size);
        let (augment, reason) = self.augment(supervised, epochs);
        say(&["augment"], format!("augmentation {augment}: {reason}"));
        say(&["epochs"], format!("{epochs} epochs: {seen:.0} thousand images seen in all"));
        if supervised && self.open_set && self.images < FEW && !self.features {
            let text = "where things always lie alike, --start whitened may tell other classes apart better: a second's work";
            say(&["start"], text.into());
        }
        let base = if photos {
            say(&["optimizer"], format!("optimizer {PHOTO_OPTIMIZER}: many photos, few passes over them"));
            say(
                &["start", "network"],
                "start patches: the first filters are whitened patches of the photos".into(),
            );
            Settings {
                start: Start::Patches,
                optimizer: PHOTO_OPTIMIZER.parse().unwrap_or(base.optimizer),
                learning_rate: PHOTO_RATE,
                schedule: PHOTO_SCHEDULE.parse().unwrap_or(base.schedule),
                weight_decay: PHOTO_DECAY,
                first_size,
                ..base
            }
        } else {
            Settings { learning_rate: if self.images < FEW { 1e-3 } else { 2e-3 }, ..base }
        };
        let settings = Settings {
            recipe: "auto".to_owned(),
            network,
            epochs,
            batch_size: batch,
            sampler: sampler.parse().unwrap_or(base.sampler),
            loss: loss.to_owned(),
            self_supervised: !supervised,
            augment: augment.parse().unwrap_or(base.augment),
            ..base
        };
        AutoConfig { settings, why }
    }

    /// Whether there are thousands of drawings, other classes among those that are judged: what the recipe `unseen` was found on.
    fn are_drawings_with_unseen_classes(&self) -> bool {
        let Shape { h, w, .. } = self.shape;
        self.unseen
            && self.drawn
            && self.classes > 1
            && self.images / self.classes >= 50
            && self.images >= FEW
            // No other can be rotated. Smaller ones have no room for the network, and of larger ones it would see too small a part.
            && h == w
            && (16..=40).contains(&h)
    }

    /// The recipe for classes to come, with as many epochs as there is time for.
    fn for_unseen_classes(&self, recipe: Settings) -> AutoConfig {
        let (most, _) = self.epochs(&recipe.network, recipe.batch_size, true, recipe.first_size);
        let epochs = recipe.epochs.min(most);
        let seen = epochs as f64 * self.images as f64 / 1e3;
        let choice = |about, text: String| AutoChoice { about, text };
        let why = vec![
            choice(&["rotations"], "rotations: each class rotated by quarters is a further class, for classes that are not trained on are judged".into()),
            choice(&["network"], "network of --recipe unseen: its embedding keeps where things are, which tells other classes apart".into()),
            choice(&["loss"], format!("loss {}: the second term keeps what differs within a class", recipe.loss)),
            choice(&["augment"], "augmentation affine: drawings are shifted, turned and sheared, never flipped".into()),
            choice(&["epochs"], format!("{epochs} epochs: {seen:.0} thousand images seen in all, rotated ones too")),
        ];
        AutoConfig { settings: Settings { recipe: "auto".to_owned(), epochs, ..recipe }, why }
    }

    /// Whether there are thousands of photos, some of every class that is judged.
    fn are_many_photos(&self) -> bool {
        let each = self.images / self.classes.max(1);
        // Smaller images get a network that begins otherwise than with the convolution that patches are for.
        self.shape.h.min(self.shape.w) >= 12
            && !self.drawn
            && !self.features
            && self.classes > 1
            && self.classes <= 500
            && each >= 50
            && self.images >= FEW
            && !self.open_set
    }

    fn network(&self) -> (&'static str, String) {
        let Shape { h, w, c } = self.shape;
        let side = h.min(w);
        if self.features {
            ("head", format!("images are {c} ready-made numbers each"))
        } else if self.drawn && side <= 32 && self.images >= 10_000 && !self.open_set {
            (
                "plain",
                format!("{} drawings of {h} x {w}, whose classes are those that are judged", self.images),
            )
        } else if side < 12 {
            ("plain", format!("images of {h} x {w} have no room for more scales"))
        } else if self.are_many_photos() && SMALL_PHOTOS.contains(&side) {
            ("resnet9", format!("{} photos of {h} x {w}", self.images))
        } else if self.images < FEW {
            ("residual-small", format!("{} images of {h} x {w} are few", self.images))
        } else {
            ("residual", format!("{} images of {h} x {w}", self.images))
        }
    }

    fn augment(&self, supervised: bool, epochs: u64) -> (String, &'static str) {
        let colour = if self.shape.c == 3 { ",colour=0.1" } else { "" };
        if self.are_many_photos() {
            return (
                PHOTO_AUGMENTS[usize::from(epochs > FEW_EPOCHS)].into(),
                "photos are moved by whole pixels, and mirrored in every other epoch",
            );
        }
        match (self.features, self.drawn, supervised) {
            (true, _, _) => ("none".into(), "features are taken as they are"),
            (_, true, true) => {
                ("affine:elastic=0.04".into(), "drawings are shifted, turned and bent, never flipped")
            }
            (_, true, false) => (
                "custom:shift=0.1,rotate=20,scale=0.25,shear=0.2,elastic=0.06,erase=0.3".into(),
                "two views must differ, as drawings may: never flipped",
            ),
            (_, false, true) => (
                format!(
                    "custom:shift=0.08,rotate=12,scale=0.15,elastic=0.03,flip=0.5,brightness=0.3,contrast=0.5,blur=0.2,noise=0.03,\
                     erase=0.5{colour}"
                ),
                "pictures are moved, mirrored and lit otherwise",
            ),
            (_, false, false) => (
                format!("custom:crop=0.5,rotate=8,flip=0.5,brightness=0.25,contrast=0.4,blur=0.3{colour}"),
                "two views must differ, as pictures may",
            ),
        }
    }

    /// As many as the work allows, and how many thousand images that is.
    fn epochs(&self, network: &str, batch: usize, supervised: bool, first_size: f64) -> (u64, f64) {
        let flop = network
            .parse()
            .ok()
            .and_then(|spec| Network::new(spec, self.shape).ok())
            .map_or(1e7, |n| n.layers().iter().map(|l| l.flop as f64).sum());
        // Backward costs twice forward, and two views are two images.
        let each = 3.0 * flop * if supervised { 1.0 } else { 2.0 };
        let n = self.images.max(1) as f64;
        // Without labels every image is a class, and takes longer to learn.
        let longer = if supervised { 1.0 } else { 3.0 };
        let wanted = longer * (EPOCHS[0] / n.sqrt()).min(EPOCHS[1]);
        let least = (STEPS * batch as f64 / n).min(500.0);
        let work = if self.are_many_photos() { PHOTO_WORK } else { WORK };
        let within = work / each / n / resizing::mean_work(first_size);
        let epochs = wanted.max(least).min(within).round().max(1.0);
        (epochs as u64, epochs * n / 1e3)
    }
}

impl Settings {
    /// Settings that suit a data set without its excluded classes, and why.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn auto(data: &Dataset, excluded: &[String]) -> Result<AutoConfig, FileError> {
        Ok(DatasetProfile::of(data, excluded)?.choose(&data.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_set_settings_are_found_that_can_be_trained() {
        for (h, w, c) in [
            (28, 28, 1),
            (8, 8, 1),
            (56, 46, 1),
            (24, 40, 3),
            (32, 32, 3),
            (64, 64, 3),
            (128, 128, 3),
            (12, 300, 3),
            (35, 35, 1),
        ] {
            for images in [1, 30, 400, 20_000, 2_000_000] {
                for classes in [0, 1, 2, 40, 5000] {
                    for (drawn, unseen) in [(false, false), (true, false), (true, true), (false, true)] {
                        let shape = Shape { h, w, c };
                        let profile = DatasetProfile {
                            shape,
                            features: false,
                            images,
                            classes,
                            drawn,
                            open_set: unseen && classes > 2,
                            unseen,
                            rotations: false,
                        };
                        let chosen = profile.choose("x");
                        let s = &chosen.settings;
                        assert!(s.clone().resolve().is_ok(), "{profile:?}: {chosen:?}");
                        let network = Network::new(s.network.parse().unwrap(), shape);
                        let network = network.unwrap_or_else(|e| panic!("{profile:?}: {e}"));
                        resizing::Resizing::new(s, shape).check(&network).unwrap();
                        assert_eq!(s.first_size < 1.0, profile.are_many_photos(), "{profile:?}");
                        assert_eq!(s.self_supervised, classes < 2);
                        assert_eq!(s.recipe, "auto");
                        let flips = s.augment.changes().is_some_and(|c| c.flip > 0.0);
                        assert!(!(drawn && flips), "characters are never flipped");
                        assert!(!s.rotations || (drawn && unseen && h == w), "{profile:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn photos_that_are_seen_often_change_more_and_large_ones_are_halved_sooner() {
        let settings = |images: usize, side: usize| {
            let shape = Shape { h: side, w: side, c: 3 };
            let profile = DatasetProfile {
                shape,
                features: false,
                images,
                classes: 10,
                drawn: false,
                open_set: false,
                unseen: false,
                rotations: false,
            };
            (profile.choose("x").settings, shape)
        };
        for (images, side, network, cutout) in
            [(50_000, 32, "resnet9", 0.0), (50_000, 64, "residual", 0.0), (5_000, 32, "resnet9", 0.25)]
        {
            let (s, shape) = settings(images, side);
            assert_eq!(Some(s.network), named_network(network, shape), "{images} of {side}");
            let changes = s.augment.changes().unwrap();
            assert_eq!(
                (changes.cutout, changes.alternate),
                (cutout, true),
                "{images} of {side}: {} epochs",
                s.epochs
            );
        }
    }

    #[test]
    fn drawings_are_rotated_where_other_classes_are_judged() {
        let counts = crate::data::DigitCounts { train: 3200, test: 40 };
        let data = crate::data::digits(counts, 1);
        let chosen = |excluded: &[&str]| {
            let excluded: Vec<String> = excluded.iter().map(|c| (*c).to_owned()).collect();
            Settings::auto(&data, &excluded).unwrap().settings
        };
        let usual = chosen(&[]);
        assert!(!usual.rotations);
        // Fewer than three thousand are left of nine, but for their rotations.
        let few = chosen(&["3"]);
        assert!(!few.rotations, "{few:?}");
        let data = crate::data::digits(crate::data::DigitCounts { train: 3600, ..counts }, 1);
        let rotated = Settings::auto(&data, &["3".to_owned()]).unwrap();
        let recipe = Settings::recipe("unseen", &data.name).unwrap();
        assert_eq!(rotated.settings, Settings { recipe: "auto".to_owned(), ..recipe });
        assert!(rotated.why[0].text.contains("classes that are not trained on are judged"));
    }
}
