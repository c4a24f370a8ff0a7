//! Accuracy and retrieval: classification by class means and k-NN, the equal error rate, and the ranks of what belongs together.

use super::{ProtocolError, independent};
use crate::data::Dataset;
use crate::encoder::Encoder;
use crate::eval::{Judge, Judgement, RetrievalReport, Spaces};
use crate::images::{Images, Vectors, with_pixels};
use serde::Serialize;

/// What is measured.
#[derive(Clone, Debug)]
pub struct AccuracyOptions {
    /// Values of k for k-NN classification.
    pub k: Vec<usize>,
    /// Weights a neighbour's vote by the inverse of its distance.
    pub weighted: bool,
    /// Values of K for Recall@K, Precision@K and NDCG@K.
    pub at: Vec<usize>,
    /// Excludes gallery images of the query's own group.
    pub leave_group: bool,
    /// Names of classes that were left out of training, which are told apart.
    pub excluded: Vec<String>,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for AccuracyOptions {
    fn default() -> AccuracyOptions {
        AccuracyOptions {
            k: vec![1, 5],
            weighted: false,
            at: vec![1, 5, 10],
            leave_group: false,
            excluded: Vec::new(),
            seed: 0,
        }
    }
}

/// What embeddings are judged against: image space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The pixels themselves.
    Pixels,
    /// Features of one's own, as they were given.
    Features,
    /// The embeddings of the encoder below a head.
    Encoder,
}

impl Baseline {
    /// What a data set's images are before anything embeds them.
    pub fn of(data: &Dataset) -> Baseline {
        Baseline::of_images(&data.test.images)
    }

    /// The same of images.
    pub fn of_images(images: &Images) -> Baseline {
        if images.are_floats() { Baseline::Features } else { Baseline::Pixels }
    }

    /// What is compared, in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::Pixels => "pixels",
            Baseline::Features => "input features",
            Baseline::Encoder => "the encoder without its head",
        }
    }

    /// What its space is called beside the feature space.
    pub fn space(self) -> &'static str {
        match self {
            Baseline::Pixels => "image space",
            Baseline::Features => "input space",
            Baseline::Encoder => "without head",
        }
    }
}

/// How good embeddings are, beside pixels or the embeddings below a head.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccuracyAnswer {
    /// What the image space is.
    pub baseline: Baseline,
    /// Accuracy, and the equal error rate.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Measures of retrieval.
    pub retrieval: Spaces<RetrievalReport>,
}

impl AccuracyOptions {
    /// The judge that these options describe.
    pub fn judge(&self) -> Judge {
        Judge::new(&self.k).leaving_groups(self.leave_group).weighting_votes(self.weighted)
    }
}

/// Judges embeddings of a data set against its pixels, or those of a head against the embeddings below it: the test images against the gallery, or each against all others where their classes
/// were not trained on.
///
/// # Errors
///
/// If there is nothing to judge by, a k is larger than the gallery, or images cannot be read.
pub fn accuracy_protocol(
    encoder: &dyn Encoder,
    data: &Dataset,
    options: &AccuracyOptions,
) -> Result<AccuracyAnswer, ProtocolError> {
    let judge = options.judge();
    judge.check(data)?;
    let (gallery, queries) = (&data.gallery().0.images, &data.test.images);
    let embedded = [encoder.embed(gallery)?, encoder.embed(queries)?];
    // A head is worth what it adds to the encoder below it.
    let below = match encoder.base() {
        Some(base) => Some([base.embed(gallery)?, base.embed(queries)?]),
        None => None,
    };
    let image = match &below {
        Some([g, q]) => judge.space(data, Vectors::Features(g), Vectors::Features(q))?,
        None => judge.image_space(data)?,
    };
    let mut judgement = judge.judge(data, image, &embedded[0], &embedded[1], &options.excluded)?;
    if let Some(verification) = &mut judgement.spaces.feature.verification {
        let pairs = judge.pairs(data, Vectors::Features(&embedded[1]));
        verification.interval = pairs.map(|p| p.eer_interval(options.seed, independent(data)));
    }
    let report = |g: Vectors<'_>, q: Vectors<'_>| judge.retrieval(data, g, q, &options.at);
    let image = match &below {
        Some([g, q]) => report(Vectors::Features(g), Vectors::Features(q))?,
        None => with_pixels([gallery, queries], |[g, q]| report(g, q))??,
    };
    let feature = report(Vectors::Features(&embedded[0]), Vectors::Features(&embedded[1]))?;
    let baseline = if below.is_some() { Baseline::Encoder } else { Baseline::of(data) };
    Ok(AccuracyAnswer { baseline, judgement, retrieval: Spaces { image, feature } })
}
