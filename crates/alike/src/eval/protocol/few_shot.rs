//! Few-shot classification: seeded episodes of a few classes, each known by a few images.

use super::{ProtocolError, groups_of, test_classes};
use crate::data::Dataset;
use crate::encoder::Encoder;
use crate::eval::{Episode, Episodes, FewShot, Spaces, draw_episodes_apart, few_shot, most_ways};
use crate::images::{Features, Vectors, with_pixels};
use serde::Serialize;

/// Which episodes are played.
#[derive(Clone, Debug)]
pub struct FewShotOptions {
    /// Classes of an episode; if empty 5 and 20, or as many as the classes allow.
    pub ways: Vec<usize>,
    /// Support images of a class; if empty 1 and 5, or as many as the classes allow.
    pub shots: Vec<usize>,
    /// Query images of a class, at most.
    pub queries: usize,
    /// Episodes of each kind.
    pub episodes: usize,
    /// Draws all classes of an episode from one category, such as an alphabet.
    pub within_category: bool,
    /// Excludes queries of the groups that their class is learned from.
    pub leave_group: bool,
    /// Decides which episodes are drawn.
    pub seed: u64,
}

impl Default for FewShotOptions {
    fn default() -> FewShotOptions {
        FewShotOptions {
            ways: Vec::new(),
            shots: Vec::new(),
            queries: 15,
            episodes: 1000,
            within_category: false,
            leave_group: false,
            seed: 0,
        }
    }
}

/// Accuracies of few-shot classification.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FewShotAnswer {
    /// The data set's name.
    pub data: String,
    /// Classes that the test part has images of.
    pub classes: usize,
    /// Each kind of episodes, by pixels and by embeddings.
    pub few_shot: Vec<Spaces<FewShot>>,
    /// Which episodes nobody named were replaced by which, since the classes do not allow them.
    #[serde(skip)]
    pub lowered: Option<String>,
    /// The first kind of episodes, for figures.
    #[serde(skip)]
    pub first: Played,
}

/// Episodes, and the embeddings that they were played with.
#[derive(Clone, Debug)]
pub struct Played {
    /// By rows of the embeddings.
    pub episodes: Vec<Episode>,
    /// The embeddings.
    pub features: Features,
}

/// Plays seeded episodes with the test images of a data set. Each query is classified by the nearest class mean (prototypes; Snell et al.
/// 2017) and by its nearest support image.
///
/// # Errors
///
/// If the classes do not allow the episodes that are named, or images cannot be read.
pub fn few_shot_protocol(
    encoder: &dyn Encoder,
    data: &Dataset,
    options: &FewShotOptions,
) -> Result<FewShotAnswer, ProtocolError> {
    if !data.labelled {
        return Err(ProtocolError::NoClasses(data.name.clone()));
    }
    // Without groups, what may not be learned from is the picture that asks, where it is there twice.
    let groups = groups_of(data, &data.test, options.leave_group)?;
    let repeated = data.test.identities.repeated().filter(|_| !options.leave_group);
    let apart = repeated.map_or(groups, |shared| shared.gallery);
    let (labels, categories) = (&data.test.labels, &data.categories);
    let how = |ways, shots| Episodes {
        ways,
        shots,
        queries: options.queries,
        count: options.episodes,
        within_category: options.within_category,
    };
    let (kinds, lowered) = kinds(options, |shots| most_ways(labels, &apart, categories, how(2, shots)));
    let draw =
        |(ways, shots)| draw_episodes_apart(labels, &apart, categories, how(ways, shots), options.seed);
    let drawn = kinds.into_iter().map(draw).collect::<Result<Vec<_>, _>>()?;
    let images = &data.test.images;
    let features = encoder.embed(images)?;
    let play = |episodes: &Vec<Episode>| -> Result<Spaces<FewShot>, ProtocolError> {
        let image = with_pixels([images], |[pixels]| few_shot(pixels, episodes))?;
        Ok(Spaces { image, feature: few_shot(Vectors::Features(&features), episodes) })
    };
    let few_shot = drawn.iter().map(play).collect::<Result<Vec<_>, _>>()?;
    let episodes = drawn.into_iter().next().unwrap_or_default();
    Ok(FewShotAnswer {
        data: data.name.clone(),
        classes: test_classes(data),
        few_shot,
        lowered,
        first: Played { episodes, features },
    })
}

/// Ways and shots of the episodes that nobody named.
const WAYS: [usize; 2] = [5, 20];
const SHOTS: [usize; 2] = [1, 5];

/// The ways and shots that are played, and what was lowered of those that nobody named, in words. What was named stays, to be refused
/// where it cannot be. `most` tells how many classes have images enough for so many shots.
fn kinds(options: &FewShotOptions, most: impl Fn(usize) -> usize) -> (Vec<(usize, usize)>, Option<String>) {
    let mut kinds = Vec::new();
    let mut left = Vec::new();
    let mut keep = |ways: usize, shots: usize, wanted: (usize, usize)| {
        if (ways, shots) != wanted {
            left.push(format!("{}-way {}-shot", wanted.0, wanted.1));
        }
        if !kinds.contains(&(ways, shots)) {
            kinds.push((ways, shots));
        }
    };
    let ways = if options.ways.is_empty() { &WAYS[..] } else { &options.ways };
    let shots = if options.shots.is_empty() { &SHOTS[..] } else { &options.shots };
    // A class has to have an image more than shots, which is the query.
    let fewest =
        |wanted: usize, ways: usize| (1..=wanted).rev().find(|shots| most(*shots) >= ways).unwrap_or(1);
    for &wanted in ways {
        for &shot in shots {
            // Two classes can always be asked about; fewer are refused.
            let way = if options.ways.is_empty() { wanted.min(most(1).max(2)) } else { wanted };
            let lower = if options.shots.is_empty() { fewest(shot, way) } else { shot };
            let way = if options.ways.is_empty() { way.min(most(lower).max(2)) } else { way };
            keep(way, lower, (wanted, shot));
        }
    }
    let played: Vec<String> = kinds.iter().map(|(ways, shots)| format!("{ways}-way {shots}-shot")).collect();
    let lowered = (!left.is_empty()).then(|| {
        format!(
            "{} classes have two images or more; instead of {}, which they do not allow, these are played: {}",
            most(1),
            left.join(", "),
            played.join(", ")
        )
    });
    (kinds, lowered)
}
