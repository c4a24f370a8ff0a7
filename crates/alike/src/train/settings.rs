//! Everything that decides how a run goes, resolved: what the run folder keeps.

use crate::distance::Distance;
use crate::model::SEED_SPEC;
use serde::{Deserialize, Serialize};

/// Named starting points for settings.
pub const RECIPES: [&str; 1] = ["seed"];

/// The settings of a run. Names are those of the command line's flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The data set: a name or a folder.
    pub data: String,
    /// The recipe that the other values began from.
    pub recipe: String,
    /// Names of classes that are not trained on.
    #[serde(default)]
    pub exclude_class: Vec<String>,
    /// The network's specification.
    pub network: String,
    /// Passes over the training images.
    pub epochs: u64,
    /// Triplets a step.
    pub batch: usize,
    /// The loss's margin, in units of the distance.
    pub margin: f64,
    /// The loss's distance.
    pub distance: Distance,
    /// Adam's step size.
    pub learning_rate: f64,
    /// The share of the training images held out for validation; 0 for none.
    pub validate: f64,
    /// Decides all that is random.
    pub seed: u64,
}

/// A setting has an impossible value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot be {value}: {why}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    why: &'static str,
}

impl Settings {
    /// The seed's recipe: what the project's first page describes.
    pub fn seed_recipe(data: &str) -> Settings {
        Settings {
            data: data.to_owned(),
            recipe: "seed".to_owned(),
            exclude_class: Vec::new(),
            network: SEED_SPEC.replace('\n', " "),
            epochs: 3,
            batch: 64,
            margin: 1.0,
            distance: Distance::Euclidean,
            learning_rate: 1e-3,
            validate: 0.0,
            seed: 0,
        }
    }

    /// Refuses values that no data set could be trained with.
    pub fn check(&self) -> Result<(), SettingsError> {
        let refuse = |name, value: String, why| Err(SettingsError { name, value, why });
        if self.epochs == 0 {
            return refuse("epochs", "0".into(), "nothing would be learned; give at least 1");
        }
        if self.epochs > 1_000_000 {
            return refuse("epochs", self.epochs.to_string(), "a million is the most");
        }
        // TOML has no larger whole numbers, and a run must be able to say how it was made.
        if i64::try_from(self.seed).is_err() {
            return refuse("seed", self.seed.to_string(), "9223372036854775807 is the most");
        }
        if self.batch == 0 {
            return refuse("batch", "0".into(), "a step needs at least one triplet");
        }
        if !(0.0..=1e6).contains(&self.margin) {
            return refuse("margin", self.margin.to_string(), "it is a number from 0 to a million");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return refuse("learning-rate", self.learning_rate.to_string(), "it is a finite number above 0");
        }
        if !(0.0..=0.5).contains(&self.validate) {
            return refuse("validate", self.validate.to_string(), "it is a share from 0 to 0.5");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_refused_by_name() {
        let refused = |change: fn(&mut Settings)| {
            let mut s = Settings::seed_recipe("mnist");
            change(&mut s);
            s.check().unwrap_err().to_string()
        };
        assert!(Settings::seed_recipe("mnist").check().is_ok());
        assert!(refused(|s| s.epochs = 0).starts_with("epochs cannot be 0"));
        assert!(refused(|s| s.epochs = u64::MAX).contains("a million"));
        assert!(refused(|s| s.seed = u64::MAX).starts_with("seed cannot be"));
        assert!(refused(|s| s.batch = 0).starts_with("batch"));
        assert!(refused(|s| s.margin = f64::NAN).starts_with("margin cannot be NaN"));
        assert!(refused(|s| s.learning_rate = 0.0).starts_with("learning-rate"));
        assert!(refused(|s| s.validate = 0.9).starts_with("validate"));
    }
}
