//! The search over losses, their values, optimisers, augmentation and epochs: which, on one's own data?
//!
//! Successive halving (Jamieson and Talwalkar 2016, <https://arxiv.org/abs/1502.07943>): many candidates are trained on a
//! small part of the images, the better third on twice as many, and so on; the last few see all. A candidate is
//! judged on images, or classes, that none of them was trained on, and never on the test split.

mod folds;
mod framing;
mod halving;
mod heads;
mod space;
mod starts;

pub use folds::{CandidateChoice, CandidateScore};
pub use framing::{Framing, FramingChoice, FramingScore, choose_framing};
pub use halving::{JudgeBy, Rung, Search, SearchOptions, Trial, TuneError, rungs};
pub use heads::choose_head;
pub use starts::choose_start;
