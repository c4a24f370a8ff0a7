//! Everything that decides how a run goes, resolved: what the run folder keeps.

use super::batches::MOST_TRIPLETS;
use super::{FixedTriplets, OptimizerKind, Sampler, Schedule};
use crate::data::{Augment, Dataset, OnError, Request, SplitBy};
use crate::distance::Distance;
use crate::loss::{
    Loss, Losses, LossesError, ObjectiveSpec, Reducers, Regularizer, TripletMargin, parse_regularizer,
};
use crate::mining::{Mine, Miner};
use crate::text;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Named starting points for settings. `auto` is found for a data set, see [`Settings::auto`]; the others are files.
pub const RECIPES: [&str; 4] = ["auto", "seed", "fast", "best"];

/// Where a network's weights begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Start {
    /// At random.
    #[default]
    Random,
    /// At random, but for a last linear layer, which whitens within classes: see [`whiten`](super::whiten).
    Whitened,
}

/// The settings of a run. Names are those of the command line's flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The data set: a name, a folder or a file.
    #[serde(default)]
    pub data: String,
    /// Where that was found, so that a run can be judged from any folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// How pictures are prepared, as in [`Preparation`](crate::data::Preparation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<String>,
    /// How training and test are told apart, as in [`SplitBy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// A class is the whole path of an image's folder.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nested: bool,
    /// Every class, turned by each quarter, is another.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rotations: bool,
    /// What happens to pictures that cannot be read.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub on_error: OnError,
    /// The recipe that the other values began from.
    #[serde(default)]
    pub recipe: String,
    /// Names of classes that are not trained on.
    #[serde(default)]
    pub exclude_class: Vec<String>,
    /// The network's specification.
    pub network: String,
    /// Where the network's weights begin.
    #[serde(default, skip_serializing_if = "is_random")]
    pub start: Start,
    /// Passes over the training images; none if the start is all there is to it.
    pub epochs: u64,
    /// Triplets a step, or images; what a sampler of classes and images says overrules it.
    pub batch: usize,
    /// How batches are drawn.
    #[serde(with = "text::as_text")]
    pub sampler: Sampler,
    /// The losses, as in `multi-similarity + 0.5 * circle:gamma=40`.
    pub loss: String,
    /// What losses and miners measure by; each one's own if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// How elements are reduced, by term as in `sum | mean`; each loss's own way if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reducer: Option<String>,
    /// Which tuples count; all if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miner: Option<String>,
    /// Regularisers, as in `0.1 * lp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regularizer: Vec<String>,
    /// Embeddings of past batches that serve as references.
    #[serde(default)]
    pub memory: usize,
    /// Two views of each image instead of labels.
    #[serde(default)]
    pub self_supervised: bool,
    /// How images are changed as they are trained on.
    #[serde(default = "no_change", with = "text::as_text")]
    pub augment: Augment,
    /// How gradients become steps.
    #[serde(with = "text::as_text")]
    pub optimizer: OptimizerKind,
    /// Step size.
    pub learning_rate: f64,
    /// How the step size goes over the run.
    #[serde(default = "constant", with = "text::as_text")]
    pub schedule: Schedule,
    /// Epochs over which the step size rises from nothing.
    #[serde(default)]
    pub warmup: f64,
    /// Weights shrink by this times the step size.
    #[serde(default)]
    pub weight_decay: f64,
    /// A gradient longer than this is cut to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// How much of the moving average of weights is kept at a step; it is what is judged. 0 for none.
    #[serde(default)]
    pub average: f64,
    /// The step size of proxies and other numbers that losses learn, by that of weights.
    #[serde(default = "one")]
    pub class_rate: f64,
    /// The share of the training images held out for validation; 0 for none.
    #[serde(default)]
    pub validate: f64,
    /// Decides all that is random.
    #[serde(default)]
    pub seed: u64,
}

fn is_false(b: &bool) -> bool {
    !b
}

fn is_random(s: &Start) -> bool {
    *s == Start::Random
}

fn is_usual(e: &OnError) -> bool {
    *e == OnError::Fail
}

fn no_change() -> Augment {
    Augment::None
}

fn constant() -> Schedule {
    Schedule::Constant
}

fn one() -> f64 {
    1.0
}

/// A setting has an impossible value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot be {value}: {why}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    why: String,
}

impl SettingsError {
    pub(super) fn new(name: &'static str, value: impl Display, why: impl Display) -> SettingsError {
        SettingsError { name, value: value.to_string(), why: why.to_string() }
    }
}

impl Settings {
    /// A recipe's settings for a data set; nothing where there is no such file.
    pub fn recipe(name: &str, data: &str) -> Option<Settings> {
        let text = match name {
            "seed" => include_str!("../../recipes/seed.toml"),
            "fast" => include_str!("../../recipes/fast.toml"),
            "best" => include_str!("../../recipes/best.toml"),
            _ => return None,
        };
        let settings: Settings = toml::from_str(text)
            .unwrap_or_else(|e| unreachable!("recipe {name} is part of the program: {e}"));
        Some(Settings { data: data.to_owned(), recipe: name.to_owned(), ..settings })
    }

    /// The seed's recipe: what the project's first page describes.
    pub fn seed_recipe(data: &str) -> Settings {
        Settings::recipe("seed", data).unwrap_or_else(|| unreachable!("the seed's recipe is there"))
    }

    /// What data are asked for.
    ///
    /// # Errors
    ///
    /// If a text is not what it should be.
    pub fn request(&self) -> Result<Request, SettingsError> {
        let prepare = self
            .prepare
            .as_deref()
            .map(|p| p.parse().map_err(|why: String| SettingsError::new("prepare", format!("'{p}'"), why)));
        let split = self
            .split
            .as_deref()
            .map(|s| s.parse::<SplitBy>().map_err(|why| SettingsError::new("split", format!("'{s}'"), why)));
        Ok(Request {
            what: self.data.clone(),
            found_at: self.found_at.as_deref().map(PathBuf::from),
            prepare: prepare.transpose()?.unwrap_or_default(),
            split: split.transpose()?,
            nested: self.nested,
            rotations: self.rotations,
            on_error: self.on_error,
            seed: self.seed,
        })
    }

    /// Keeps how a data set was made from what was asked for, so that it is made the same again.
    pub fn keep_source(&mut self, request: &Request, data: &Dataset) {
        self.data.clone_from(&request.what);
        self.found_at = data.place.as_deref().and_then(Path::to_str).map(str::to_owned);
        // Ready-made sets have neither names nor anything that was decided.
        let decided = !data.train.names.is_empty() && !data.train.images.are_floats();
        self.prepare = decided.then(|| data.preparation.to_string());
        self.split = data.split.as_ref().map(text::write);
        self.nested = request.nested;
        self.rotations = request.rotations;
        self.on_error = request.on_error;
    }

    /// What is minimised.
    ///
    /// # Errors
    ///
    /// If a text is not what it should be, or the parts do not go together.
    pub fn objective(&self) -> Result<ObjectiveSpec, SettingsError> {
        let losses: Losses = self
            .loss
            .parse()
            .map_err(|why: LossesError| SettingsError::new("loss", format!("'{}'", self.loss), why))?;
        let reducer = self.reducer.as_deref().map(|r| {
            r.parse::<Reducers>().map_err(|why| SettingsError::new("reducer", format!("'{r}'"), why))
        });
        let miner = self
            .miner
            .as_deref()
            .map(|m| m.parse::<Miner>().map_err(|why| SettingsError::new("miner", format!("'{m}'"), why)));
        let regularizers = self.regularizer.iter().map(|r| {
            parse_regularizer(r).map_err(|why| SettingsError::new("regularizer", format!("'{r}'"), why))
        });
        let spec = ObjectiveSpec {
            losses,
            distance: self.distance,
            reducer: reducer.transpose()?,
            miner: miner.transpose()?,
            regularizers: regularizers.collect::<Result<Vec<(f64, Regularizer)>, _>>()?,
            memory: self.memory,
        };
        // What a miner is refused for by itself is not the loss's fault.
        if let (Some(text), Some(why)) = (&self.miner, spec.miner.as_ref().and_then(Miner::refusal)) {
            return Err(SettingsError::new("miner", format!("'{text}'"), why));
        }
        spec.check().map_err(|why| SettingsError::new("loss", format!("'{}'", self.loss), why))?;
        Ok(spec)
    }

    /// Writes down what is minimised: [`Settings::objective`] reads it back, but for a loss and a miner of one's own, of which
    /// there is the name.
    pub fn keep_objective(&mut self, spec: &ObjectiveSpec) {
        let ObjectiveSpec { losses, distance, reducer, miner, regularizers, memory } = spec;
        self.loss = losses.to_string();
        self.distance = *distance;
        self.reducer = reducer.as_ref().map(Reducers::to_string);
        self.miner = miner.as_ref().map(text::write);
        self.regularizer = regularizers.iter().map(|(w, r)| format!("{w} * {}", text::write(r))).collect();
        self.memory = *memory;
    }

    /// The loss or miner that these settings name and that is not built in.
    pub(super) fn not_built_in(&self) -> Option<String> {
        let loss = match self.loss.parse::<Losses>() {
            Err(LossesError::Loss(e)) => e.unknown().map(|name| format!("loss '{name}'")),
            _ => None,
        };
        let miner = || match self.miner.as_deref().map(str::parse::<Miner>) {
            Some(Err(e)) => e.unknown().map(|name| format!("miner '{name}'")),
            _ => None,
        };
        loss.or_else(miner)
    }

    /// The triplet margin loss, where that is the first loss, with a weight of one.
    pub fn triplet_margin(&self) -> Option<TripletMargin> {
        let losses: Losses = self.loss.parse().ok()?;
        match losses.0.first()? {
            (weight, Loss::TripletMargin(loss)) if *weight == 1.0 => Some(*loss),
            _ => None,
        }
    }

    /// Refuses values that no data set could be trained with.
    ///
    /// # Errors
    ///
    /// If a value is impossible, or two do not go together.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.check_values()?;
        self.check_with(&self.objective()?)
    }

    /// Refuses what has nothing to do with the objective.
    pub(super) fn check_values(&self) -> Result<(), SettingsError> {
        let refuse = |name, value: String, why: &str| Err(SettingsError::new(name, value, why));
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if self.epochs == 0 && self.start == Start::Random {
            return refuse(
                "epochs",
                "0".into(),
                "nothing would be learned; give at least 1, or --start whitened",
            );
        }
        if self.epochs > 1_000_000 {
            return refuse("epochs", self.epochs.to_string(), "a million is the most");
        }
        // TOML has no larger whole numbers, and a run must be able to say how it was made.
        if i64::try_from(self.seed).is_err() {
            return refuse("seed", self.seed.to_string(), "9223372036854775807 is the most");
        }
        let images = self.sampler.images(self.batch);
        if images == 0 {
            return refuse("batch", self.batch.to_string(), "a step needs at least one image or triplet");
        }
        if images > 1 << 20 {
            return refuse("batch", self.batch.to_string(), "a million images is the most");
        }
        if let Sampler::FixedTriplets(FixedTriplets { count }) = self.sampler {
            let why = match count {
                n if n < self.batch => Some(format!("a batch takes {} triplets", self.batch)),
                n if n > MOST_TRIPLETS => Some(format!(
                    "all of them are drawn before the first step, and {MOST_TRIPLETS} are the most"
                )),
                _ => None,
            };
            if let Some(why) = why {
                return refuse("sampler", text::write(&self.sampler), &why);
            }
        }
        if !positive(self.learning_rate) {
            return refuse("learning-rate", self.learning_rate.to_string(), "it is a finite number above 0");
        }
        if !(0.0..=0.5).contains(&self.validate) {
            return refuse("validate", self.validate.to_string(), "it is a share from 0 to 0.5");
        }
        if !(0.0..=1e3).contains(&self.weight_decay) {
            return refuse("weight-decay", self.weight_decay.to_string(), "it is a number from 0 to 1000");
        }
        if !(0.0..1.0).contains(&self.average) {
            return refuse(
                "average",
                self.average.to_string(),
                "it is a number from 0 to below 1, as in 0.999",
            );
        }
        if !(0.0..=1e6).contains(&self.warmup) {
            return refuse("warmup", self.warmup.to_string(), "it is a number of epochs, 0 for none");
        }
        if let Some(clip) = self.clip.filter(|c| !positive(*c)) {
            return refuse("clip", clip.to_string(), "it is a length above 0");
        }
        if !positive(self.class_rate) {
            return refuse("class-rate", self.class_rate.to_string(), "it is a finite number above 0");
        }
        if let Some(why) = self.augment.refusal() {
            return refuse("augment", text::write(&self.augment), &why);
        }
        Ok(())
    }

    /// Refuses what does not go with the objective.
    pub(super) fn check_with(&self, spec: &ObjectiveSpec) -> Result<(), SettingsError> {
        let refuse = |name, value: String, why: &str| Err(SettingsError::new(name, value, why));
        let images = self.sampler.images(self.batch);
        if spec.needs_views() && !self.self_supervised {
            return refuse(
                "loss",
                format!("'{}'", self.loss),
                "it takes two views of each image: give --self-supervised",
            );
        }
        if self.self_supervised && (spec.learns_proxies() || self.sampler != Sampler::Random) {
            let why = "without labels there are neither proxies nor classes to draw: take --sampler random and a \
                       loss over pairs, as nt-xent";
            return refuse("self-supervised", "true".into(), why);
        }
        if self.self_supervised && self.augment == Augment::None {
            return refuse(
                "self-supervised",
                "true".into(),
                "two views that do not differ teach nothing: give --augment",
            );
        }
        if matches!(self.sampler, Sampler::TuplesToWeights(_)) && self.miner.is_none() {
            let why = "weights come from a miner's tuples: give --miner, as multi-similarity";
            return refuse("sampler", text::write(&self.sampler), why);
        }
        let memory_least = images * if self.self_supervised { 2 } else { 1 };
        if self.memory > 0 && self.memory < memory_least {
            let why = format!("it must hold a batch, {memory_least} images, at least");
            return refuse("memory", self.memory.to_string(), &why);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_can_be_trained() {
        for name in &RECIPES[1..] {
            let settings = Settings::recipe(name, "mnist").unwrap();
            assert_eq!(settings.check(), Ok(()), "{name}");
            assert_eq!(settings.recipe, *name);
        }
        assert_eq!(Settings::recipe("slow", "mnist"), None);
    }

    #[test]
    fn an_objective_is_written_as_it_is_read() {
        let settings = Settings {
            loss: "triplet-margin:margin=0.3,smooth=true + 0.5 * circle".into(),
            miner: Some("semi-hard:margin=0.1".into()),
            reducer: Some("sum | threshold:low=0.1 | class-weighted".into()),
            regularizer: vec!["0.25 * lp:p=1".into(), "2 * zero-mean".into()],
            memory: 500,
            distance: None,
            ..Settings::seed_recipe("mnist")
        };
        let spec = settings.objective().unwrap();
        let mut kept = Settings::seed_recipe("mnist");
        kept.keep_objective(&spec);
        assert_eq!(kept.objective().unwrap(), spec);
        assert_eq!(kept.triplet_margin().map(|l| l.margin), Some(0.3));
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        let refused = |change: fn(&mut Settings)| {
            let mut s = Settings::seed_recipe("mnist");
            change(&mut s);
            s.check().unwrap_err().to_string()
        };
        assert!(refused(|s| s.epochs = 0).starts_with("epochs cannot be 0"));
        assert!(refused(|s| s.epochs = u64::MAX).contains("a million"));
        assert!(refused(|s| s.seed = u64::MAX).starts_with("seed cannot be"));
        assert!(refused(|s| s.batch = 0).starts_with("batch"));
        assert!(refused(|s| s.loss = "triplet-margn".into()).contains("did you mean 'triplet-margin'"));
        assert!(refused(|s| s.miner = Some("batch-herd".into())).contains("did you mean 'batch-hard'"));
        assert!(refused(|s| s.learning_rate = 0.0).starts_with("learning-rate"));
        assert!(refused(|s| s.validate = 0.9).starts_with("validate"));
        assert!(refused(|s| s.average = 1.0).starts_with("average"));
        assert!(refused(|s| (s.loss, s.distance) = ("vicreg".into(), None)).contains("--self-supervised"));
        assert!(refused(|s| s.self_supervised = true).contains("--sampler random"));
        assert!(refused(|s| s.memory = 10).contains("192 images"));
        // Numbers that would be taken at their word: memory, or days.
        for (sampler, why) in [
            ("fixed-triplets:count=1000000000", "before the first step"),
            ("pk:4294967296x4294967296", "a million images"),
            ("hierarchical:categories=4294967296,classes=4294967296,images=2", "a million images"),
        ] {
            let mut s = Settings::seed_recipe("mnist");
            s.sampler = sampler.parse().unwrap();
            let error = s.check().unwrap_err().to_string();
            assert!(error.contains(why), "{sampler}: {error}");
        }
        assert!(refused(|s| s.batch = usize::MAX).contains("a million images"));
        for loss in ["histogram", "fast-ap", "dynamic-soft-margin"] {
            let mut s = Settings::seed_recipe("mnist");
            s.loss = format!("{loss}:num-bins={}", u64::MAX);
            let error = s.check().unwrap_err().to_string();
            assert!(error.contains("num-bins is at most 65536"), "{loss}: {error}");
        }
        for value in ["num-bins", "pos-per-bin", "neg-per-bin"] {
            let mut s = Settings::seed_recipe("mnist");
            s.loss = "contrastive".into();
            s.miner = Some(format!("uniform-histogram:{value}={}", u64::MAX));
            let error = s.check().unwrap_err().to_string();
            assert!(error.contains(&format!("{value} is at most 65536")), "{value}: {error}");
        }
        assert!(refused(|s| s.regularizer = vec!["0.1 * lpp".into()]).contains("did you mean 'lp'"));
    }
}
