//! The training loop, what it draws from, and what watches it.

mod auto;
mod batches;
mod budget;
mod health;
mod identity;
mod muon;
mod observer;
mod optimizer;
mod patches;
mod plan;
mod resizing;
mod rotations;
mod run;
mod sampler;
mod schedule;
mod settings;
mod training;
mod whiten;

pub use auto::{AutoChoice, AutoConfig, DatasetProfile};
pub use batches::{FixedTriplets, Hierarchical, Pk, Sampler, TuplesToWeights};
pub use budget::Pace;
pub use health::{EmbeddingHealth, verdict};
pub use identity::{IdentityError, identity};
pub use observer::{EpochReport, Observer, StepReport, View};
pub use optimizer::{Betas, Group, Muon, Optimizer, OptimizerKind, Sgd, clip, groups};
pub use patches::{PatchesError, whiten_patches};
pub use plan::TrainingPlan;
pub use run::{Metric, Recorder, Run, RunError, read_metrics, settings_text};
pub use sampler::{SamplerError, TripletSampler};
pub use schedule::{Fall, OneCycle, Schedule, Steps};
pub use settings::{RECIPES, Settings, SettingsError, Start};
pub use training::{Outcome, TrainError, Training, divide};
pub use whiten::{WIDEST, WhitenBy, WhitenError, whiten};
