//! Which images make a batch.

use super::{SamplerError, TripletSampler};
use crate::rng::{Purpose, Rng, SliceRandom, stream};
use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};

/// How batches are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sampler {
    /// An anchor, a positive and a negative each: the batch counts triplets.
    Triplets,
    /// Images in random order.
    Random,
    /// Classes, and images of each.
    Pk(Pk),
    /// Classes and images as `pk`, the classes of a batch from few categories. Where a set names no categories, a class called
    /// `latin/a` is of the category `latin`.
    Hierarchical(Hierarchical),
    /// Triplets drawn once for the whole run.
    FixedTriplets(FixedTriplets),
    /// Images drawn, each epoch anew, by how often the miner's tuples name them.
    TuplesToWeights(TuplesToWeights),
}

/// See [`Sampler::Hierarchical`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hierarchical {
    /// Categories of a batch.
    pub categories: usize,
    /// Classes of each.
    pub classes: usize,
    /// Images of each class.
    pub images: usize,
}

impl Default for Hierarchical {
    fn default() -> Hierarchical {
        Hierarchical { categories: 2, classes: 8, images: 4 }
    }
}

/// See [`Sampler::TuplesToWeights`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TuplesToWeights {
    /// How many images, drawn each epoch, are embedded and mined.
    pub subset: usize,
}

impl Default for TuplesToWeights {
    fn default() -> TuplesToWeights {
        TuplesToWeights { subset: 2000 }
    }
}

/// See [`Sampler::Pk`]; written `pk:10x20`, or `pk:classes=10,images=20`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pk {
    /// Classes of a batch.
    pub classes: usize,
    /// Images of each.
    pub images: usize,
}

impl Default for Pk {
    fn default() -> Pk {
        Pk { classes: 10, images: 20 }
    }
}

/// Triplets that are drawn once and kept: half a gigabyte of them.
pub(super) const MOST_TRIPLETS: usize = 1 << 24;

/// See [`Sampler::FixedTriplets`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FixedTriplets {
    /// How many.
    pub count: usize,
}

impl Default for FixedTriplets {
    fn default() -> FixedTriplets {
        FixedTriplets { count: 60_000 }
    }
}

impl Choice for Sampler {
    const WHAT: &'static str = "sampler";

    fn all() -> Vec<Sampler> {
        vec![
            Sampler::Triplets,
            Sampler::Random,
            Sampler::Pk(Pk::default()),
            Sampler::Hierarchical(Hierarchical::default()),
            Sampler::FixedTriplets(FixedTriplets::default()),
            Sampler::TuplesToWeights(TuplesToWeights::default()),
        ]
    }
}

impl std::str::FromStr for Sampler {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Sampler, text::ChoiceError> {
        if let Some((classes, images)) = s.strip_prefix("pk:").and_then(|rest| rest.split_once('x'))
            && let (Ok(classes), Ok(images)) = (classes.trim().parse(), images.trim().parse())
        {
            return Ok(Sampler::Pk(Pk { classes, images }));
        }
        text::parse(s)
    }
}

impl Sampler {
    /// Whether a batch is triplets: anchors, then positives, then negatives.
    pub fn of_triplets(&self) -> bool {
        matches!(self, Sampler::Triplets | Sampler::FixedTriplets(_))
    }

    /// Images of a batch, where `batch` is what the settings say.
    pub fn images(&self, batch: usize) -> usize {
        match self {
            Sampler::Triplets | Sampler::FixedTriplets(_) => batch.saturating_mul(3),
            Sampler::Random | Sampler::TuplesToWeights(_) => batch,
            Sampler::Pk(pk) => pk.classes.saturating_mul(pk.images),
            Sampler::Hierarchical(h) => h.categories.saturating_mul(h.classes).saturating_mul(h.images),
        }
    }

    /// The same where there are only so many classes: about as many images, of fewer classes.
    pub(crate) fn fitted(self, classes: usize) -> Sampler {
        match self {
            Sampler::Pk(pk) if pk.classes > classes && classes > 0 => {
                Sampler::Pk(Pk { classes, images: (pk.images * pk.classes / classes).max(2) })
            }
            other => other,
        }
    }
}

/// The batches of a run, epoch by epoch.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    sampler: Sampler,
    batch: usize,
    seed: u64,
    trained: Vec<usize>,
    triplets: Option<TripletSampler>,
    /// The images of each class that takes part, for classes and images.
    members: Vec<Vec<usize>>,
    /// By category: which of `members` it has.
    categories: Vec<Vec<usize>>,
    fixed: Vec<[usize; 3]>,
    /// The epoch at hand: its images or anchors in order.
    epoch: u64,
    order: Vec<usize>,
}

impl Batches {
    pub(super) fn new(
        sampler: Sampler,
        batch: usize,
        seed: u64,
        labels: &[u32],
        (names, categories_of): (&[String], &[String]),
        trained: &[usize],
    ) -> Result<Batches, SamplerError> {
        let triplets =
            sampler.of_triplets().then(|| TripletSampler::new(labels, names, trained, seed)).transpose()?;
        let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        trained.iter().for_each(|i| by_class[labels[*i] as usize].push(*i));
        // Where a set says nothing of categories, a class's name may: `latin/a`.
        let category = |class: usize| match categories_of.get(class) {
            Some(category) => Some(category.as_str()).filter(|c| !c.is_empty()),
            None => names[class].split_once('/').map(|(category, _)| category),
        };
        let by_class = by_class.into_iter().enumerate().filter(|(_, m)| !m.is_empty());
        let (present, members): (Vec<usize>, Vec<Vec<usize>>) = by_class.unzip();
        let mut categories = Vec::new();
        if let Sampler::Hierarchical(h) = sampler {
            let mut by_name: std::collections::BTreeMap<&str, Vec<usize>> = std::collections::BTreeMap::new();
            for (class, label) in present.iter().enumerate() {
                if let Some(category) = category(*label) {
                    by_name.entry(category).or_default().push(class);
                }
            }
            categories = by_name.into_values().filter(|c| c.len() >= h.classes).collect();
            if categories.len() < h.categories || [h.categories, h.classes, h.images].contains(&0) {
                let (asked, classes, found) = (h.categories, h.classes, categories.len());
                return Err(SamplerError::TooFewCategories { asked, classes, found });
            }
        }
        let mut fixed = Vec::new();
        if let (Sampler::FixedTriplets(FixedTriplets { count }), Some(triplets)) = (sampler, &triplets) {
            // Rounds of all anchors, each with other partners, cut off at the count.
            for round in 0..count.div_ceil(trained.len().max(1)) as u64 {
                let left = count - fixed.len();
                fixed.extend(triplets.order(round).into_iter().take(left).map(|a| {
                    let (p, n) = triplets.draw(round, a);
                    [a, p, n]
                }));
            }
        }
        if let Sampler::Pk(Pk { classes, images }) = sampler
            && (classes > members.len() || classes == 0 || images == 0)
        {
            return Err(SamplerError::TooFewForPk { classes, images, found: members.len() });
        }
        let mut batches = Batches {
            sampler,
            batch,
            seed,
            trained: trained.to_vec(),
            triplets,
            members,
            categories,
            fixed,
            epoch: 0,
            order: vec![],
        };
        batches.begin(0);
        Ok(batches)
    }

    /// How many batches there could be anchors for, and how many anchors there are.
    pub(super) fn supply(&self) -> (u64, usize) {
        let n = if self.fixed.is_empty() { self.trained.len() } else { self.fixed.len() };
        let per = match self.sampler {
            Sampler::Pk(_) | Sampler::Hierarchical(_) => self.sampler.images(self.batch),
            _ => self.batch,
        };
        // Classes and images can always be drawn again.
        let again = matches!(self.sampler, Sampler::Pk(_) | Sampler::Hierarchical(_));
        let least = u64::from(again);
        (((n / per.max(1)) as u64).max(least), n)
    }

    /// Turns to an epoch.
    pub(super) fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        let mut rng = stream(self.seed, Purpose::Order, epoch, 0);
        self.order = match self.sampler {
            // Weights are the model's to find: until then, all alike.
            Sampler::Triplets | Sampler::Random | Sampler::TuplesToWeights(_) => self.trained.clone(),
            Sampler::FixedTriplets(_) => (0..self.fixed.len()).collect(),
            Sampler::Pk(pk) => {
                let all = (0..self.members.len()).collect();
                self.order = self.classes_and_images(&[all], [1, pk.classes, pk.images], epoch);
                return;
            }
            Sampler::Hierarchical(h) => {
                let each = [h.categories, h.classes, h.images];
                self.order = self.classes_and_images(&self.categories, each, epoch);
                return;
            }
        };
        self.order.shuffle(&mut rng);
    }

    /// Categories come round in random order, and so do each one's classes and each class's images, so that all are seen
    /// equally often.
    fn classes_and_images(
        &self,
        categories: &[Vec<usize>],
        [supers, classes, images]: [usize; 3],
        epoch: u64,
    ) -> Vec<usize> {
        let (steps, _) = self.supply();
        let mut rng = stream(self.seed, Purpose::Batch, epoch, 0);
        let mut all = Deck::new((0..categories.len()).collect());
        let mut of_category: Vec<Deck> = categories.iter().map(|c| Deck::new(c.clone())).collect();
        let mut of_class: Vec<Deck> = self.members.iter().map(|m| Deck::new(m.clone())).collect();
        let mut order = Vec::with_capacity(steps as usize * supers * classes * images);
        for _ in 0..steps {
            for category in all.draw_apart(supers, &mut rng) {
                for class in of_category[category].draw_apart(classes, &mut rng) {
                    order.extend((0..images).map(|_| of_class[class].draw(&mut rng)));
                }
            }
        }
        order
    }

    /// Images in place of this epoch's order: what a miner's tuples ask for.
    pub(super) fn reorder(&mut self, order: Vec<usize>) {
        self.order = order;
    }

    /// The epoch's images in order, where they cannot be found again from the seed.
    pub(super) fn found_order(&self) -> Option<&[usize]> {
        matches!(self.sampler, Sampler::TuplesToWeights(_)).then_some(&self.order[..])
    }

    /// Images of this epoch, and those that are mined for it.
    pub(super) fn to_mine(&self) -> Option<(usize, Vec<usize>)> {
        let Sampler::TuplesToWeights(TuplesToWeights { subset }) = self.sampler else { return None };
        Some((self.order.len(), self.order[..subset.clamp(1, self.order.len())].to_vec()))
    }

    /// The images of a step of the epoch at hand.
    pub(super) fn batch(&self, step: u64, into: &mut Vec<usize>) {
        let per = if self.sampler.of_triplets() { self.batch } else { self.sampler.images(self.batch) };
        let chosen = &self.order[step as usize * per..][..per];
        match (&self.sampler, &self.triplets) {
            (Sampler::FixedTriplets(_), _) => {
                into.clear();
                (0..3).for_each(|k| into.extend(chosen.iter().map(|t| self.fixed[*t][k])));
            }
            (_, Some(triplets)) => triplets.batch(self.epoch, chosen, into),
            _ => {
                into.clear();
                into.extend_from_slice(chosen);
            }
        }
    }
}

/// Cards that are dealt in random order, and shuffled again when all are gone.
struct Deck {
    all: Vec<usize>,
    left: Vec<usize>,
}

impl Deck {
    fn new(all: Vec<usize>) -> Deck {
        Deck { all, left: Vec::new() }
    }

    fn refill(&mut self, rng: &mut Rng) {
        let mut more = self.all.clone();
        more.shuffle(rng);
        self.left.splice(0..0, more);
    }

    fn draw(&mut self, rng: &mut Rng) -> usize {
        if self.left.is_empty() {
            self.refill(rng);
        }
        self.left.pop().unwrap_or_else(|| unreachable!("a deck is never without cards"))
    }

    /// Different cards; one that was dealt already waits for the next time. There are as many cards at least.
    fn draw_apart(&mut self, n: usize, rng: &mut Rng) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(n);
        while chosen.len() < n {
            match self.left.iter().rposition(|c| !chosen.contains(c)) {
                Some(at) => chosen.push(self.left.remove(at)),
                None => self.refill(rng),
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(sampler: &str, labels: &[u32], batch: usize) -> Result<Batches, SamplerError> {
        let names: Vec<String> = (0..9).map(|i| format!("c{i}")).collect();
        let all: Vec<usize> = (0..labels.len()).collect();
        Batches::new(sampler.parse().unwrap(), batch, 5, labels, (&names, &[]), &all)
    }

    #[test]
    fn classes_and_images_are_as_many_as_they_should_be_and_come_equally_often() {
        let labels: Vec<u32> = (0..300).map(|i| if i < 200 { 0 } else { 1 + i % 4 }).collect();
        let mut batches = batches("pk:3x4", &labels, 0).unwrap();
        assert_eq!(batches.supply(), (25, 300));
        let mut seen = [0; 5];
        let mut batch = Vec::new();
        for epoch in 0..4 {
            batches.begin(epoch);
            for step in 0..25 {
                batches.batch(step, &mut batch);
                assert_eq!(batch.len(), 12);
                for images in batch.chunks(4) {
                    assert!(images.iter().all(|i| labels[*i] == labels[images[0]]));
                    seen[labels[images[0]] as usize] += 1;
                }
                let mut classes: Vec<u32> = batch.iter().map(|i| labels[*i]).collect();
                classes.dedup();
                assert_eq!(classes.len(), 3, "no class twice");
            }
        }
        assert!(seen.iter().all(|n| (58..=62).contains(n)), "{seen:?}");
        let first = batches.order.clone();
        batches.begin(2);
        assert_ne!(first, batches.order);
        batches.begin(3);
        assert_eq!(first, batches.order);
    }

    #[test]
    fn a_batchs_classes_are_of_few_categories() {
        let labels: Vec<u32> = (0..240).map(|i| i % 12).collect();
        let names: Vec<String> = (0..12).map(|i| format!("{}/{i}", i % 3)).collect();
        let all: Vec<usize> = (0..240).collect();
        let new = |text: &str, names: &[String]| {
            Batches::new(text.parse().unwrap(), 0, 5, &labels, (names, &[]), &all)
        };
        let batches = new("hierarchical:categories=2,classes=3,images=4", &names).unwrap();
        let mut batch = Vec::new();
        for step in 0..batches.supply().0 {
            batches.batch(step, &mut batch);
            assert_eq!(batch.len(), 24);
            let mut found: Vec<(u32, u32)> = batch.iter().map(|i| (labels[*i] % 3, labels[*i])).collect();
            found.dedup();
            let categories: Vec<u32> = found.iter().map(|f| f.0).collect();
            assert_eq!(found.len(), 6);
            assert!(categories[..3].iter().all(|c| *c == categories[0]) && categories[3] != categories[0]);
        }
        let plain: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        let message = new("hierarchical", &plain).unwrap_err().to_string();
        assert!(message.contains("CATEGORY/CLASS"), "{message}");
    }

    #[test]
    fn more_classes_than_there_are_is_refused() {
        let message = batches("pk:3x2", &[0, 0, 1], 0).unwrap_err().to_string();
        assert!(message.contains("3 classes") && message.contains("only 2"), "{message}");
    }

    #[test]
    fn fixed_triplets_are_the_same_every_epoch() {
        let labels: Vec<u32> = (0..40).map(|i| i % 4).collect();
        let mut batches = batches("fixed-triplets:count=50", &labels, 10).unwrap();
        let mut all = |epoch| {
            batches.begin(epoch);
            let mut found: Vec<[usize; 3]> = Vec::new();
            let mut batch = Vec::new();
            for step in 0..batches.supply().0 {
                batches.batch(step, &mut batch);
                found.extend((0..10).map(|i| [batch[i], batch[10 + i], batch[20 + i]]));
            }
            assert!(
                found.iter().all(|[a, p, n]| a != p && labels[*a] == labels[*p] && labels[*a] != labels[*n])
            );
            let first = found[0];
            found.sort_unstable();
            (first, found)
        };
        let (one, two) = (all(0), all(1));
        assert_eq!(one.1, two.1);
        assert_ne!(one.0, two.0);
    }

    #[test]
    fn samplers_are_read_in_either_form() {
        assert_eq!("pk:4x9".parse::<Sampler>().unwrap(), "pk:classes=4,images=9".parse().unwrap());
        assert!("pkk:4x9".parse::<Sampler>().is_err());
    }
}
