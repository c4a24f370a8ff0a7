//! Questions and answers: how an encoder is put to use.
//!
//! A task is a function from a [`Model`], pictures and typed options to a result that serialises. The same result is printed, written as
//! JSON, served and returned. How good an encoder is, is a matter of [`crate::eval`].

mod anomaly;
mod classify;
mod cluster;
mod compare;
mod corrections;
mod duplicates;
mod enroll;
mod error;
mod explain;
mod health;
mod known;
#[cfg(feature = "projection")]
mod map;
mod model;
mod search;
mod subject;
mod unjudged;
mod verify;

pub use anomaly::{AnomalyAnswer, AnomalyOptions, Scored, anomaly};
pub use classify::{CalibratedBy, CalibratedOn, Classified, ClassifyAnswer, ClassifyOptions, classify};
pub use cluster::{CLUSTER_MEASURES, Cluster, ClusterAnswer, ClusterMethod, cluster};
pub use compare::{COMPARED_MEASURES, CompareAnswer, CompareOptions, ComparedRun, SeedGroup, compare};
pub use corrections::Corrections;
pub use duplicates::{
    CopyKind, Decisions, DuplicateGroup, DuplicateMember, DuplicatePicture, DuplicatePictures,
    DuplicatesAnswer, DuplicatesOptions, Journal, JournalError, LookAlikes, Moved, Undone, duplicates, link,
    move_to,
};
pub use enroll::{EmbedAnswer, EnrollAnswer, embed, enroll};
pub use error::TaskError;
pub use explain::explain;
pub use health::{
    AllImages, CleanedWithout, Cleaning, ConfusedClasses, HealthAnswer, HealthOptions, HealthReport,
    LabelInDoubt, PlacedImage, health,
};
pub use known::{GallerySummary, Known, Together, group_numbers, with_others};
#[cfg(feature = "projection")]
pub use map::{Colouring, MapAnswer, MapMethod, MapOptions, map, tsne_seconds};
pub use model::{Model, ModelOptions, ModelSource};
pub use search::{Found, Match, SearchAnswer, SearchOptions, search};
pub use subject::{Judged, Opened, Subject, TrainingRecord, quick_pixel_retrieval};
pub use unjudged::Unjudged;
pub use verify::{VerifiedBy, VerifyAnswer, VerifyBy, verify};
