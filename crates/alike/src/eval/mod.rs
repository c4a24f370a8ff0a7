//! Judging an embedding: raw pixels against what was learned, by the same rules.

mod agreement;
mod anomaly;
mod anomaly_metrics;
mod bootstrap;
mod bursts;
mod classification;
mod classifier;
mod clusters;
mod comparison;
mod confidence;
mod density;
mod few_shot;
mod health;
mod interval;
mod judge;
mod occlusion;
mod protocol;
mod reference;
mod retrieval;
mod saliency;
mod threshold;
mod unseen;
mod validator;
mod verification;

pub use agreement::Agreement;
pub use anomaly::{AnomalyError, AnomalyMethod, Detector};
pub use anomaly_metrics::Detection;
pub use bootstrap::percentiles;
pub(crate) use bursts::Sets;
pub use bursts::{Bursts, Siblings, bursts, known_or_found};
pub use classification::{ClassMeans, Classification, vote, weighted_vote};
pub use classifier::{Answer, CALIBRATED, Calibration, Classifier, NothingToCalibrate, Rule};
pub use clusters::{Assignment, KMeans, agreement, agreement_bootstrap, by_density, k_means};
pub use comparison::{Difference, Paired, compare, compare_groups, difference};
pub use confidence::Confidence;
pub use few_shot::{
    Accuracy, Episode, EpisodeError, Episodes, FewShot, draw_episodes, draw_episodes_apart, few_shot,
    most_ways,
};
pub use health::{Confused, Fitness, Health, Verdict, health};
pub use interval::{Spread, bootstrap_interval, mean_interval, share_interval};
pub use judge::{Comparison, EvalError, Judge, Judgement, SpaceJudgement, Spaces};
pub use occlusion::occlusion;
pub use protocol::{
    AccuracyAnswer, AccuracyOptions, AnomalyMeans, AnomalyProtocolAnswer, AnomalyProtocolOptions, AnomalyRow,
    Baseline, ConsistencyAnswer, ConsistencyOptions, FewShotAnswer, FewShotOptions, FoundItself, GivenPairs,
    OneShotAnswer, OneShotRunError, Played, ProtocolError, VerificationAnswer, VerificationOptions,
    VerifiedSpace, accuracy_protocol, anomaly_protocol, consistency_protocol, few_shot_protocol, groups_of,
    independent, one_shot_protocol, read_pairs, verification_protocol,
};
pub use reference::Reference;
pub use retrieval::{Quality, Retrieval, RetrievalReport, rank_quality};
pub use saliency::{Masking, Saliency, SaliencyBy, saliency};
pub use threshold::{Alarm, alarm_threshold};
pub use unseen::{Unseen, UnseenBaseline, cluster_quality};
pub use validator::Validator;
pub use verification::{AtFar, Folded, Independent, Pair, Pairs, Verification, verification};
