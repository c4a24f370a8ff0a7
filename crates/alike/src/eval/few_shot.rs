//! Few-shot classification: classes never trained on, told apart by a handful of images each.
//!
//! An episode draws `ways` classes, `shots` images of each to learn from and others to ask about (Vinyals et al. 2016,
//! "Matching Networks for One Shot Learning", <https://arxiv.org/abs/1606.04080>). A class answers by its prototype, the mean of its
//! embeddings (Snell, Swersky and Zemel 2017, <https://arxiv.org/abs/1703.05175>), or by its nearest image.

use super::interval::mean_interval;
use crate::images::Vectors;
use crate::meter::stage;
use crate::neighbours::squared_distance;
use crate::rng::{Purpose, Rng, RngExt, SliceRandom, stream};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// How episodes are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episodes {
    /// Classes of an episode.
    pub ways: usize,
    /// Images of each class to learn from.
    pub shots: usize,
    /// Images of each class that ask, at most.
    pub queries: usize,
    /// How many episodes.
    pub count: usize,
    /// All classes of an episode are of one category, an alphabet say.
    pub within_category: bool,
}

/// Episodes cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpisodeError {
    /// Too few classes have images enough.
    #[error("{ways}-way {shots}-shot episodes need {ways} classes of at least {} images{}, but there are {found}; ask for fewer", shots.saturating_add(1),
        if *within { " in one category" } else { "" })]
    TooFew {
        /// Classes of an episode.
        ways: usize,
        /// Images of each to learn from.
        shots: usize,
        /// Classes that would do; in the largest category where they must be of one.
        found: usize,
        /// Whether they must be of one category.
        within: bool,
    },
    /// The same where no image asks that is of a group which its class is learned from.
    #[error("{ways}-way {shots}-shot episodes that leave groups apart need {ways} classes with {shots} image{} of some groups and \
        others of another{}, but there are {found}; ask for fewer, or leave --leave-group out", if *shots == 1 { "" } else { "s" },
        if *within { ", in one category" } else { "" })]
    TooFewGroups {
        /// Classes of an episode.
        ways: usize,
        /// Images of each to learn from.
        shots: usize,
        /// Classes that would do; in the largest category where they must be of one.
        found: usize,
        /// Whether they must be of one category.
        within: bool,
    },
    /// Classes are of no category.
    #[error("the classes have no categories to draw episodes within; leave --within-category out")]
    NoCategories,
    /// A number that makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
}

/// A mean over episodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accuracy {
    /// The mean.
    pub mean: f64,
    /// 1.96 standard errors over episodes, as papers have it: zero where all is right.
    pub half_width: f64,
    /// Between what the mean of other episodes of the same images lies, 95 %, which is never one point: see [`mean_interval`]. It says
    /// nothing of other classes.
    pub interval: [f64; 2],
}

/// How episodes went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FewShot {
    /// Classes of an episode.
    pub ways: usize,
    /// Images of each class to learn from.
    pub shots: usize,
    /// How many episodes.
    pub episodes: usize,
    /// By the nearest class mean.
    pub prototypes: Accuracy,
    /// By the nearest image.
    pub nearest: Accuracy,
}

impl Accuracy {
    /// Of the accuracies of episodes.
    pub fn of(each: &[f64]) -> Accuracy {
        let n = each.len() as f64;
        let mean = each.iter().sum::<f64>() / n.max(1.0);
        let variance = each.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let interval = mean_interval(&each.iter().map(|v| (*v, 1.0)).collect::<Vec<_>>());
        Accuracy { mean, half_width: 1.96 * (variance / n.max(1.0)).sqrt(), interval }
    }
}

/// What of the vectors an episode is made of: by class, images to learn from, and images that ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// By class.
    pub support: Vec<Vec<usize>>,
    /// Each with the number of its class in `support`.
    pub queries: Vec<(usize, usize)>,
}

impl Episode {
    /// The shares of queries that are right by prototypes, and by nearest images. Ties go to the first class.
    pub fn accuracy(&self, vectors: Vectors<'_>) -> [f64; 2] {
        let mut right = [0usize; 2];
        for (answers, (_, class)) in self.answers(vectors).iter().zip(&self.queries) {
            right.iter_mut().zip(answers).for_each(|(r, a)| *r += usize::from(a == class));
        }
        right.map(|r| r as f64 / self.queries.len().max(1) as f64)
    }

    /// By query: the class whose prototype is nearest, and the class of the nearest image.
    pub fn answers(&self, vectors: Vectors<'_>) -> Vec<[usize; 2]> {
        let support: Vec<Vec<Vec<f32>>> =
            self.support.iter().map(|class| class.iter().map(|i| vectors.row(*i)).collect()).collect();
        let means: Vec<Vec<f32>> = support.iter().map(|class| mean(class, vectors.d())).collect();
        let first_least = |far: &mut dyn Iterator<Item = f64>| {
            far.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(usize::MAX, |(c, _)| c)
        };
        let answer = |(query, _): &(usize, usize)| {
            let query = vectors.row(*query);
            let by_mean = first_least(&mut means.iter().map(|m| squared_distance(&query, m)));
            let nearest = |of: &Vec<Vec<f32>>| {
                of.iter().map(|s| squared_distance(&query, s)).fold(f64::INFINITY, f64::min)
            };
            [by_mean, first_least(&mut support.iter().map(nearest))]
        };
        self.queries.iter().map(answer).collect()
    }

    /// The classes as an image sees them, the nearest prototype first: the class, the distance of its prototype, and which of its
    /// images is nearest.
    pub fn seen_from(&self, vectors: Vectors<'_>, image: usize) -> Vec<(usize, f64, usize)> {
        let own = vectors.row(image);
        let class = |(c, members): (usize, &Vec<usize>)| {
            let rows: Vec<Vec<f32>> = members.iter().map(|i| vectors.row(*i)).collect();
            let far: Vec<f64> = rows.iter().map(|row| squared_distance(&own, row)).collect();
            let nearest = (0..far.len()).min_by(|a, b| far[*a].total_cmp(&far[*b]))?;
            Some((c, squared_distance(&own, &mean(&rows, vectors.d())).sqrt(), members[nearest]))
        };
        let mut classes: Vec<_> = self.support.iter().enumerate().filter_map(class).collect();
        classes.sort_by(|a, b| a.1.total_cmp(&b.1));
        classes
    }
}

fn mean(rows: &[Vec<f32>], d: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; d];
    rows.iter().for_each(|row| sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v)));
    sum.iter().map(|s| (s / rows.len().max(1) as f64) as f32).collect()
}

/// How many classes, of one category where they must be, have images enough for so many shots: the most ways that can be drawn.
pub fn most_ways(labels: &[u32], groups: &[u32], categories: &[String], how: Episodes) -> usize {
    let of_class = by_class(labels);
    let pools = pools(&of_class, groups, categories, how);
    pools.values().map(Vec::len).max().unwrap_or(0)
}

fn by_class(labels: &[u32]) -> BTreeMap<u32, Vec<usize>> {
    let mut of_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    labels.iter().enumerate().for_each(|(i, l)| of_class.entry(*l).or_default().push(i));
    of_class
}

/// By category where classes of an episode must be of one: the images of each class that has enough.
fn pools<'a>(
    of_class: &'a BTreeMap<u32, Vec<usize>>,
    groups: &[u32],
    categories: &'a [String],
    how: Episodes,
) -> BTreeMap<&'a str, Vec<&'a Vec<usize>>> {
    // Where there are groups, one has to be left to ask of.
    let enough = |members: &Vec<usize>| match groups {
        [] => members.len() > how.shots,
        _ => !asking_groups(members, groups, how.shots).is_empty(),
    };
    let mut pools: BTreeMap<&str, Vec<&Vec<usize>>> = BTreeMap::new();
    for (label, members) in of_class.iter().filter(|(_, m)| enough(m)) {
        let category = categories.get(*label as usize).filter(|_| how.within_category);
        pools.entry(category.map_or("", String::as_str)).or_default().push(members);
    }
    pools
}

/// Draws episodes from images with these labels; `categories` are by label, and may be empty.
///
/// # Errors
///
/// If there are too few classes or images.
pub fn draw_episodes(
    labels: &[u32],
    categories: &[String],
    how: Episodes,
    seed: u64,
) -> Result<Vec<Episode>, EpisodeError> {
    draw_episodes_apart(labels, &[], categories, how, seed)
}

/// The same of images with groups: no image asks that is of a group from which an episode learns its class.
///
/// # Panics
///
/// If there is not a group for each image, or for none.
///
/// # Errors
///
/// As [`draw_episodes`].
pub fn draw_episodes_apart(
    labels: &[u32],
    groups: &[u32],
    categories: &[String],
    how: Episodes,
    seed: u64,
) -> Result<Vec<Episode>, EpisodeError> {
    assert!([0, labels.len()].contains(&groups.len()), "episodes: a group for each image");
    let Episodes { ways, shots, queries, count, within_category } = how;
    if ways < 2 {
        return Err(EpisodeError::Senseless("an episode of fewer than two classes asks nothing"));
    }
    if shots == 0 || queries == 0 || count == 0 {
        return Err(EpisodeError::Senseless("episodes need at least one shot, one query and one episode"));
    }
    if within_category && categories.is_empty() {
        return Err(EpisodeError::NoCategories);
    }
    let of_class = by_class(labels);
    let pools = pools(&of_class, groups, categories, how);
    let found = pools.values().map(Vec::len).max().unwrap_or(0);
    let pools: Vec<Vec<&Vec<usize>>> = pools.into_values().filter(|p| p.len() >= ways).collect();
    if pools.is_empty() {
        let within = within_category;
        return Err(match groups {
            [] => EpisodeError::TooFew { ways, shots, found, within },
            _ => EpisodeError::TooFewGroups { ways, shots, found, within },
        });
    }
    let episode = |e: usize| {
        let rng = &mut stream(seed, Purpose::Episode, e as u64, 0);
        let mut pool = pools[rng.random_range(0..pools.len())].clone();
        let (classes, _) = pool.partial_shuffle(rng, ways);
        let mut episode = Episode { support: Vec::with_capacity(ways), queries: Vec::new() };
        for (class, members) in classes.iter().enumerate() {
            let mut members = (*members).clone();
            if !groups.is_empty() {
                let (support, asking) = apart(&mut members, groups, shots, rng);
                episode.support.push(support);
                episode.queries.extend(asking.into_iter().take(queries).map(|i| (i, class)));
                continue;
            }
            let wanted = shots.saturating_add(queries).min(members.len());
            let (drawn, _) = members.partial_shuffle(rng, wanted);
            episode.support.push(drawn[..shots].to_vec());
            episode.queries.extend(drawn[shots..].iter().map(|i| (*i, class)));
        }
        episode
    };
    Ok((0..count).map(episode).collect())
}

/// The groups of a class without any one of which enough images are left to learn from.
fn asking_groups(members: &[usize], groups: &[u32], shots: usize) -> Vec<u32> {
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    members.iter().for_each(|i| *sizes.entry(groups[*i]).or_default() += 1);
    sizes.into_iter().filter(|(_, n)| members.len() - n >= shots).map(|(group, _)| group).collect()
}

/// Images of a class to learn from, and others, all of other groups, in the order in which they are to ask.
fn apart(members: &mut [usize], groups: &[u32], shots: usize, rng: &mut Rng) -> (Vec<usize>, Vec<usize>) {
    let may_ask = asking_groups(members, groups, shots);
    let asks = may_ask[rng.random_range(0..may_ask.len())];
    members.shuffle(rng);
    let mut order: Vec<u32> = Vec::new();
    for i in members.iter().filter(|i| groups[**i] != asks) {
        if !order.contains(&groups[*i]) {
            order.push(groups[*i]);
        }
    }
    // Whole groups are learned from, as few as will do; what is left asks too.
    let (mut learned, mut support) = (Vec::new(), Vec::new());
    for group in order {
        if support.len() < shots {
            learned.push(group);
            support.extend(members.iter().copied().filter(|i| groups[*i] == group));
        }
    }
    support.truncate(shots);
    let asking = members.iter().copied().filter(|i| !learned.contains(&groups[*i])).collect();
    (support, asking)
}

/// Plays episodes in a space.
pub fn few_shot(vectors: Vectors<'_>, episodes: &[Episode]) -> FewShot {
    let stage = stage("playing episodes", episodes.len());
    let play = |e: &Episode| {
        let accuracy = e.accuracy(vectors);
        stage.advance(1);
        accuracy
    };
    let each: Vec<[f64; 2]> = episodes.par_iter().map(play).collect();
    let of = |rule: usize| Accuracy::of(&each.iter().map(|e| e[rule]).collect::<Vec<_>>());
    let first = episodes.first();
    FewShot {
        ways: first.map_or(0, |e| e.support.len()),
        shots: first.and_then(|e| e.support.first()).map_or(0, Vec::len),
        episodes: episodes.len(),
        prototypes: of(0),
        nearest: of(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Features;

    fn episodes(ways: usize, shots: usize) -> Episodes {
        Episodes { ways, shots, queries: 2, count: 50, within_category: false }
    }

    #[test]
    fn an_episode_asks_of_other_images_than_it_learns_from() {
        let labels: Vec<u32> = (0..60).map(|i| i / 6).collect();
        for e in draw_episodes(&labels, &[], episodes(4, 3), 1).unwrap() {
            assert_eq!((e.support.len(), e.queries.len()), (4, 8));
            let mut all: Vec<usize> = e.support.iter().flatten().copied().collect();
            all.extend(e.queries.iter().map(|q| q.0));
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 4 * 5, "no image twice");
            for (class, of) in e.support.iter().enumerate() {
                let label = labels[of[0]];
                assert!(of.iter().all(|i| labels[*i] == label));
                assert!(e.queries.iter().filter(|q| q.1 == class).all(|q| labels[q.0] == label));
            }
        }
        assert_ne!(
            draw_episodes(&labels, &[], episodes(4, 3), 1),
            draw_episodes(&labels, &[], episodes(4, 3), 2)
        );
    }

    #[test]
    fn no_image_asks_of_a_group_that_its_class_is_learned_from() {
        // Classes of six images in groups of 1, 2 and 3; one class is all of one group.
        let labels: Vec<u32> = (0..36).map(|i| i / 6).collect();
        let groups: Vec<u32> = (0..36)
            .map(|i| if i >= 30 { 99 } else { 10 * (i / 6) + [0, 1, 1, 2, 2, 2][i as usize % 6] })
            .collect();
        for shots in [1, 3, 5] {
            let drawn = draw_episodes_apart(&labels, &groups, &[], episodes(3, shots), 1).unwrap();
            assert_eq!(drawn.len(), 50);
            for e in drawn {
                for (class, support) in e.support.iter().enumerate() {
                    assert_eq!(support.len(), shots);
                    let asking: Vec<usize> = e.queries.iter().filter(|q| q.1 == class).map(|q| q.0).collect();
                    assert!((1..=2).contains(&asking.len()));
                    for i in asking {
                        assert_eq!(labels[i], labels[support[0]]);
                        assert!(support.iter().all(|s| groups[*s] != groups[i]), "{e:?}");
                    }
                    assert_ne!(labels[support[0]], 5, "a class of one group has none to ask of");
                }
            }
        }
        let refused = draw_episodes_apart(&labels, &groups, &[], episodes(6, 1), 1).unwrap_err();
        assert_eq!(refused, EpisodeError::TooFewGroups { ways: 6, shots: 1, found: 5, within: false });
        assert!(draw_episodes_apart(&labels, &groups, &[], episodes(2, 6), 1).is_err());
    }

    #[test]
    fn classes_of_one_category_stay_together() {
        let labels: Vec<u32> = (0..40).map(|i| i / 4).collect();
        let categories: Vec<String> = (0..10).map(|c| if c < 4 { "a" } else { "b" }.to_owned()).collect();
        let within = Episodes { within_category: true, ..episodes(3, 1) };
        for e in draw_episodes(&labels, &categories, within, 0).unwrap() {
            let of: Vec<&String> = e.support.iter().map(|s| &categories[labels[s[0]] as usize]).collect();
            assert!(of.iter().all(|c| *c == of[0]));
        }
        let refused = draw_episodes(&labels, &categories, Episodes { ways: 7, ..within }, 0).unwrap_err();
        assert_eq!(refused, EpisodeError::TooFew { ways: 7, shots: 1, found: 6, within: true });
        assert_eq!(draw_episodes(&labels, &[], within, 0).unwrap_err(), EpisodeError::NoCategories);
    }

    #[test]
    fn the_rules_are_those_of_the_papers() {
        // Class 0 spreads around zero, class 1 lies at 3: at 1.6 a prototype and a nearest image disagree.
        let f = Features::new(1, vec![-2.0, 2.0, 3.0, 3.2, 1.6, 3.1]);
        let e = Episode { support: vec![vec![0, 1], vec![2, 3]], queries: vec![(4, 0), (5, 1)] };
        assert_eq!(e.accuracy(Vectors::Features(&f)), [0.5, 1.0]);
        assert_eq!(e.answers(Vectors::Features(&f)), [[1, 0], [1, 1]]);
        let seen = e.seen_from(Vectors::Features(&f), 4);
        assert_eq!((seen[0].0, seen[0].2, seen[1].0, seen[1].2), (1, 2, 0, 1), "nearest prototype first");
        assert!((seen[0].1 - 1.5).abs() < 1e-6 && (seen[1].1 - 1.6).abs() < 1e-6, "{seen:?}");
        let one = few_shot(Vectors::Features(&f), &[e.clone(), e]);
        assert_eq!((one.ways, one.shots, one.prototypes.mean, one.prototypes.half_width), (2, 2, 0.5, 0.0));
    }

    #[test]
    fn an_interval_is_1_96_standard_errors() {
        let a = Accuracy::of(&[0.0, 1.0, 1.0, 0.0]);
        assert!((a.half_width - 1.96 * (1.0f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
        let all = Accuracy::of(&[1.0; 1000]);
        assert_eq!((all.half_width, all.interval[1]), (0.0, 1.0));
        assert!(all.interval[0] > 0.99 && all.interval[0] < 1.0, "{all:?}");
    }
}
