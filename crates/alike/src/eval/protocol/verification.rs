//! Verification: whether two images are of one class, over all pairs of test images or over given ones.

use super::{GivenPairs, ProtocolError, groups_of, independent};
use crate::data::Dataset;
use crate::encoder::Encoder;
use crate::eval::{AtFar, Folded, Independent, Pair, Pairs, Spaces, Verification};
use crate::images::{Vectors, with_pixels};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is measured of which pairs.
#[derive(Clone, Debug, Default)]
pub struct VerificationOptions {
    /// False accept rates at which the true accept rate is told.
    pub far: Vec<f64>,
    /// These pairs alone, rather than all.
    pub pairs: Option<GivenPairs>,
    /// A condition of every test image, such as its pose: pairs are told apart by the conditions of their images.
    pub conditions: Option<Vec<String>>,
    /// Excludes pairs of one group.
    pub leave_group: bool,
    /// Seed of the bootstrap and of the folds.
    pub seed: u64,
}

/// Error rates of pairs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerificationAnswer {
    /// The data set's name.
    pub data: String,
    /// By pixels and by embeddings.
    #[serde(flatten)]
    pub spaces: Spaces<VerifiedSpace>,
    /// The pairs themselves, for curves and figures.
    #[serde(skip)]
    pub pairs: Spaces<Pairs>,
    /// What another sample would have others of: pairs, classes or images.
    #[serde(skip)]
    pub unit: &'static str,
}

/// Error rates in a space.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerifiedSpace {
    /// The equal error rate, its threshold and the numbers of pairs.
    #[serde(flatten)]
    pub eer: Verification,
    /// 95 % bootstrap interval of the equal error rate.
    pub eer_interval: [f64; 2],
    /// True accept rates at false accept rates.
    pub at_far: Vec<AtFar>,
    /// The smallest false accept rate that so many pairs can promise for others.
    pub least_far: f64,
    /// Accuracy by ten folds.
    pub folded: Folded,
    /// By condition: pairs whose images share one have its name, others have both names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by: BTreeMap<String, Verification>,
}

/// Measures how well distances tell pairs of one class from pairs of two, in the test part of a data set.
///
/// # Errors
///
/// If there are no test images, no classes and no given pairs, no pairs of one class or none of two, or images cannot be read.
pub fn verification_protocol(
    encoder: &dyn Encoder,
    data: &Dataset,
    options: &VerificationOptions,
) -> Result<VerificationAnswer, ProtocolError> {
    let split = &data.test;
    if !data.labelled && options.pairs.is_none() {
        return Err(ProtocolError::NoClasses(data.name.clone()));
    }
    if split.is_empty() {
        return Err(ProtocolError::NoTestImages(data.name.clone()));
    }
    let groups = groups_of(data, split, options.leave_group)?;
    let features = encoder.embed(&split.images)?;
    let measure = |vectors: Vectors<'_>| {
        let pairs = match &options.pairs {
            Some(given) => Pairs::given(vectors, given),
            None => Pairs::leaving_groups(vectors, &split.labels, &split.identities, &groups, 0),
        };
        pairs.ok_or(ProtocolError::NoPairs)
    };
    let image = with_pixels([&split.images], |[pixels]| measure(pixels))??;
    let pairs = Spaces { image, feature: measure(Vectors::Features(&features))? };
    // Pairs that are given stand for themselves.
    let of = if options.pairs.is_some() { Independent::Classes } else { independent(data) };
    let unit = match (options.pairs.is_some(), of) {
        (true, _) => "pairs",
        (_, Independent::Classes) => "classes",
        (_, Independent::Images) => "images",
    };
    let judge = |pairs: &Pairs| verified(pairs, of, options);
    let spaces = Spaces { image: judge(&pairs.image), feature: judge(&pairs.feature) };
    Ok(VerificationAnswer { data: data.name.clone(), spaces, pairs, unit })
}

fn verified(pairs: &Pairs, of: Independent, options: &VerificationOptions) -> VerifiedSpace {
    let (eer_interval, tars) = pairs.intervals(options.seed, of, &options.far);
    let at_far = |(far, interval): (&f64, [f64; 2])| AtFar { interval: Some(interval), ..pairs.at_far(*far) };
    VerifiedSpace {
        eer: pairs.equal_error_rate(),
        eer_interval,
        at_far: options.far.iter().zip(tars).map(at_far).collect(),
        least_far: 1.0 / (pairs.counts().1 + 1) as f64,
        folded: pairs.folded(options.pairs.is_none(), options.seed),
        by: options.conditions.as_deref().map(|c| by_condition(pairs, c)).unwrap_or_default(),
    }
}

fn by_condition(pairs: &Pairs, conditions: &[String]) -> BTreeMap<String, Verification> {
    let of = |p: &Pair| {
        let mut two = p.images.map(|i| conditions[i as usize].as_str());
        two.sort_unstable();
        if two[0] == two[1] { two[0].to_owned() } else { two.join(" / ") }
    };
    let mut all: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    pairs.sorted().iter().for_each(|p| all.entry(of(p)).or_default().push(*p));
    all.into_iter().filter_map(|(name, list)| Some((name, Pairs::new(list)?.equal_error_rate()))).collect()
}
