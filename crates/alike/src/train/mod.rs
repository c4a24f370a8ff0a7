//! The training loop, what it draws from, and what watches it.

mod adam;
mod observer;
mod run;
mod sampler;
mod settings;
mod training;

pub use adam::Adam;
pub use observer::{EpochReport, Observer, StepReport, View};
pub use run::{Metric, Recorder, Run, RunError, read_metrics};
pub use sampler::{SamplerError, TripletSampler};
pub use settings::{RECIPES, Settings, SettingsError};
pub use training::{Outcome, TrainError, Training};
