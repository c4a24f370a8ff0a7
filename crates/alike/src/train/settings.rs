//! Everything that decides how a run goes, as the run folder keeps it.
//!
//! Losses, miner and network are text here, for they may name what the library does not have; [`Settings::resolve`] reads them.

use super::{OptimizerKind, Sampler, Schedule};
use crate::data::{Augment, Dataset, OnError, Preparation, Request, SplitBy};
use crate::distance::Distance;
use crate::loss::{
    Loss, Losses, LossesError, ObjectiveSpec, Reducers, Regularizer, TripletMargin, parse_regularizer,
};
use crate::mining::{Mine, Miner};
use crate::model::SpecError;
use crate::text;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Named starting points for settings. `auto` is found for a data set, see [`Settings::auto`]; the others are files.
pub const RECIPES: [&str; 5] = ["auto", "seed", "fast", "best", "unseen"];

/// Where a network's weights begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Start {
    /// At random.
    #[default]
    Random,
    /// At random, but for a last linear layer, which whitens within classes: see [`whiten`](super::whiten).
    Whitened,
    /// At random, but for a first convolution, whose filters are whitened patches of the training images: see
    /// [`whiten_patches`](super::whiten_patches).
    Patches,
    /// A head over features that changes nothing but their mean: see [`identity`](super::identity).
    Identity,
}

/// The settings of a run. Names are those of the command line's flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The data set: a name, a folder or a file.
    #[serde(default)]
    pub data: String,
    /// Where that was found, so that a run can be judged from any folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// The encoder whose embeddings the network takes in the place of pictures: its name, or the path of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// The fingerprint of that encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_fingerprint: Option<String>,
    /// The runtime that ran it, and its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_runtime: Option<String>,
    /// Whether that encoder's embedding of a picture is the mean of it and its mirror image.
    #[serde(default, skip_serializing_if = "is_false")]
    pub flip: bool,
    /// How pictures are prepared, as in [`Preparation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<String>,
    /// How training and test are told apart, as in [`SplitBy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// A class is the whole path of an image's folder.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nested: bool,
    /// Each class that is trained on, rotated by 90, 180 and 270 degrees counter-clockwise, is a class of its own while training.
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
    /// The minutes that the epochs were made from, where a budget was stated or reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_minutes: Option<f64>,
    /// Floating-point operations a second that the machine was measured at for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_rate: Option<f64>,
    /// Batch size, in triplets or images; a sampler of classes and images overrides it. Called `batch` in version 0.1.
    #[serde(alias = "batch")]
    pub batch_size: usize,
    /// How batches are drawn.
    #[serde(with = "text::as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
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
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub augment: Augment,
    /// The share of the height and width that images have in the first epoch; they grow to their full size over three quarters of the epochs. 1 for full
    /// images throughout.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub first_size: f64,
    /// Changed copies of each picture whose embeddings a head is trained on in turn, beside those of the picture itself: one an epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub views: usize,
    /// How gradients become steps.
    #[serde(with = "text::as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub optimizer: OptimizerKind,
    /// Step size.
    pub learning_rate: f64,
    /// How the step size goes over the run.
    #[serde(default = "constant", with = "text::as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
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
    /// Learning rate of proxies and other parameters of losses, as a multiple of the weights' learning rate. Called `class-rate` in
    /// version 0.1.
    #[serde(default = "one", alias = "class-rate")]
    pub proxy_rate: f64,
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

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn is_one(x: &f64) -> bool {
    *x == 1.0
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

/// Settings that cannot be trained with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A setting has an impossible value.
    #[error("{name} cannot be {value}: {why}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value, as it is written.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The network's specification cannot be read.
    #[error(transparent)]
    Network(#[from] SpecError),
}

impl SettingsError {
    pub(super) fn new(name: &'static str, value: impl Display, why: impl Display) -> SettingsError {
        SettingsError::Value { name, value: value.to_string(), why: why.to_string() }
    }
}

impl Settings {
    /// A recipe's settings for a data set; nothing where there is no such file.
    pub fn recipe(name: &str, data: &str) -> Option<Settings> {
        let text = match name {
            "seed" => include_str!("../../recipes/seed.toml"),
            "fast" => include_str!("../../recipes/fast.toml"),
            "best" => include_str!("../../recipes/best.toml"),
            "unseen" => include_str!("../../recipes/unseen.toml"),
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
        let split = self
            .split
            .as_deref()
            .map(|s| s.parse::<SplitBy>().map_err(|why| SettingsError::new("split", format!("'{s}'"), why)));
        Ok(Request {
            what: self.data.clone(),
            found_at: self.found_at.as_deref().map(PathBuf::from),
            prepare: self.read_prepare()?.unwrap_or_default(),
            split: split.transpose()?,
            nested: self.nested,
            on_error: self.on_error,
        })
    }

    /// How pictures are prepared, where that was decided.
    ///
    /// # Errors
    ///
    /// If the text is not what it should be.
    pub fn preparation(&self) -> Result<Option<Preparation>, SettingsError> {
        self.read_prepare()
    }

    fn read_prepare<T: FromStr<Err = String>>(&self) -> Result<Option<T>, SettingsError> {
        let read = |p: &String| p.parse().map_err(|why| SettingsError::new("prepare", format!("'{p}'"), why));
        self.prepare.as_ref().map(read).transpose()
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
