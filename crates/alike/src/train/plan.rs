//! Settings that were checked, and read where they are text: what a run is made of.

use super::batches::MOST_TRIPLETS;
use super::{FixedTriplets, Sampler, Settings, SettingsError, Start, TrainError};
use crate::data::Augment;
use crate::loss::ObjectiveSpec;
use crate::model::Spec;
use crate::text;

/// Augmented copies of a picture that a head is trained on, at most.
const MOST_VIEWS: usize = 100;

/// Embeddings of past batches that are kept, at most.
const MOST_MEMORY: usize = 1 << 30;

/// Settings that can be trained with, as far as that can be told without data: [`Settings::resolve`] makes them.
#[derive(Clone, Debug)]
pub struct TrainingPlan {
    pub(super) settings: Settings,
    pub(super) network: Spec,
    pub(super) objective: ObjectiveSpec,
}

impl TrainingPlan {
    /// The settings, with `objective` instead of what they name; they say so afterwards.
    ///
    /// # Errors
    ///
    /// As [`Settings::resolve`], or if the parts of the objective do not go together.
    pub(super) fn with_objective(
        mut settings: Settings,
        objective: ObjectiveSpec,
    ) -> Result<TrainingPlan, TrainError> {
        settings.keep_objective(&objective);
        settings.check_values()?;
        objective.check()?;
        settings.check_with(&objective)?;
        let network = settings.network.parse().map_err(SettingsError::Network)?;
        Ok(TrainingPlan { settings, network, objective })
    }

    /// The settings that were resolved.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The network.
    pub fn network(&self) -> &Spec {
        &self.network
    }

    /// What is minimised.
    pub fn objective(&self) -> &ObjectiveSpec {
        &self.objective
    }
}

impl Settings {
    /// Reads what is text, and refuses values that no data set could be trained with.
    ///
    /// # Errors
    ///
    /// If a value is impossible, or two do not go together.
    pub fn resolve(self) -> Result<TrainingPlan, SettingsError> {
        self.check_values()?;
        let objective = self.objective()?;
        self.check_with(&objective)?;
        let network = self.network.parse()?;
        Ok(TrainingPlan { settings: self, network, objective })
    }

    /// Refuses what has nothing to do with the objective.
    fn check_values(&self) -> Result<(), SettingsError> {
        let refuse = |name, value: String, why: &str| Err(SettingsError::new(name, value, why));
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if self.epochs == 0 && !matches!(self.start, Start::Whitened | Start::Identity) {
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
        let images = self.sampler.images(self.batch_size);
        if images == 0 {
            return refuse(
                "batch-size",
                self.batch_size.to_string(),
                "a step needs at least one image or triplet",
            );
        }
        if images > 1 << 20 {
            return refuse("batch-size", self.batch_size.to_string(), "a million images is the most");
        }
        if let Sampler::FixedTriplets(FixedTriplets { count }) = self.sampler {
            let why = match count {
                n if n < self.batch_size => Some(format!("a batch takes {} triplets", self.batch_size)),
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
        if !positive(self.proxy_rate) {
            return refuse("proxy-rate", self.proxy_rate.to_string(), "it is a finite number above 0");
        }
        if let Some(why) = self.augment.refusal() {
            return refuse("augment", text::write(&self.augment), &why);
        }
        let views = self.views.to_string();
        if self.views > MOST_VIEWS {
            return refuse("views", views, &format!("{MOST_VIEWS} are the most"));
        }
        if self.views > 0 && (self.encoder.is_none() || self.augment == Augment::None) {
            return refuse(
                "views",
                views,
                "they are augmented copies for a head: give --encoder and --augment",
            );
        }
        Ok(())
    }

    /// Refuses what does not go with the objective.
    fn check_with(&self, spec: &ObjectiveSpec) -> Result<(), SettingsError> {
        let refuse = |name, value: String, why: &str| Err(SettingsError::new(name, value, why));
        let images = self.sampler.images(self.batch_size);
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
        if self.memory > MOST_MEMORY {
            let why = format!("{MOST_MEMORY} embeddings are the most");
            return refuse("memory", self.memory.to_string(), &why);
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
    use crate::train::RECIPES;

    #[test]
    fn every_recipe_can_be_trained() {
        for name in &RECIPES[1..] {
            let settings = Settings::recipe(name, "mnist").unwrap();
            assert_eq!(settings.recipe, *name);
            assert!(settings.resolve().is_ok(), "{name}");
        }
        assert_eq!(Settings::recipe("slow", "mnist"), None);
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        let refused = |change: fn(&mut Settings)| {
            let mut s = Settings::seed_recipe("mnist");
            change(&mut s);
            s.resolve().unwrap_err().to_string()
        };
        assert!(refused(|s| s.epochs = 0).starts_with("epochs cannot be 0"));
        assert!(refused(|s| s.epochs = u64::MAX).contains("a million"));
        assert!(refused(|s| s.seed = u64::MAX).starts_with("seed cannot be"));
        assert!(refused(|s| s.batch_size = 0).starts_with("batch-size"));
        assert!(refused(|s| s.loss = "triplet-margn".into()).contains("did you mean 'triplet-margin'"));
        assert!(refused(|s| s.miner = Some("batch-herd".into())).contains("did you mean 'batch-hard'"));
        assert!(refused(|s| s.learning_rate = 0.0).starts_with("learning-rate"));
        assert!(refused(|s| s.validate = 0.9).starts_with("validate"));
        assert!(refused(|s| s.average = 1.0).starts_with("average"));
        assert!(refused(|s| (s.loss, s.distance) = ("vicreg".into(), None)).contains("--self-supervised"));
        assert!(refused(|s| s.self_supervised = true).contains("--sampler random"));
        assert!(refused(|s| s.memory = 10).contains("192 images"));
        assert!(refused(|s| s.memory = usize::MAX).contains("1073741824 embeddings are the most"));
        // Numbers that would be taken at their word: memory, or days.
        for (sampler, why) in [
            ("fixed-triplets:count=1000000000", "before the first step"),
            ("pk:4294967296x4294967296", "a million images"),
            ("hierarchical:categories=4294967296,classes=4294967296,images=2", "a million images"),
        ] {
            let mut s = Settings::seed_recipe("mnist");
            s.sampler = sampler.parse().unwrap();
            let error = s.resolve().unwrap_err().to_string();
            assert!(error.contains(why), "{sampler}: {error}");
        }
        assert!(refused(|s| s.batch_size = usize::MAX).contains("a million images"));
        for loss in ["histogram", "fast-ap", "dynamic-soft-margin"] {
            let mut s = Settings::seed_recipe("mnist");
            s.loss = format!("{loss}:num-bins={}", u64::MAX);
            let error = s.resolve().unwrap_err().to_string();
            assert!(error.contains("num-bins must be at most 65536"), "{loss}: {error}");
        }
        for value in ["num-bins", "pos-per-bin", "neg-per-bin"] {
            let mut s = Settings::seed_recipe("mnist");
            s.loss = "contrastive".into();
            s.miner = Some(format!("uniform-histogram:{value}={}", u64::MAX));
            let error = s.resolve().unwrap_err().to_string();
            assert!(error.contains(&format!("{value} must be at most 65536")), "{value}: {error}");
        }
        assert!(refused(|s| s.regularizer = vec!["0.1 * lpp".into()]).contains("did you mean 'lp'"));
    }
}
