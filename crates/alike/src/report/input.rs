//! What the page is made from: a run, what it was trained on, and how it was judged.

use crate::data::{Dataset, Split};
use crate::distance::Distance;
use crate::engine::{Engine, Tier};
use crate::eval::{Judgement, RetrievalReport};
use crate::files::FileError;
use crate::images::Features;
use crate::model::{Checkpoint, initial};
use crate::tasks::Judged;
use crate::train::{Metric, Settings, TripletSampler, divide};

/// A run, its embeddings and its judgement.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// What it was trained on.
    pub data: &'a Dataset,
    /// How it was trained.
    pub settings: &'a Settings,
    /// What came of it.
    pub checkpoint: &'a Checkpoint,
    /// Its `metrics.jsonl`.
    pub metrics: &'a [Metric],
    /// Embeddings of the training split.
    pub gallery: &'a Features,
    /// Embeddings of the test split.
    pub queries: &'a Features,
    /// Image space against feature space.
    pub judgement: &'a Judgement,
    /// How well the learned space retrieves, and pixels where that was not too much work.
    pub retrieval: Option<(&'a RetrievalReport, Option<&'a RetrievalReport>)>,
}

impl<'a> ReportInput<'a> {
    /// What a page is made from, of a run that was judged on these data.
    pub fn of(judged: &'a Judged, data: &'a Dataset) -> ReportInput<'a> {
        ReportInput {
            data,
            settings: &judged.settings,
            checkpoint: &judged.checkpoint,
            metrics: &judged.metrics,
            gallery: &judged.gallery,
            queries: &judged.queries,
            judgement: &judged.judgement,
            retrieval: None,
        }
    }

    /// The training images that it learned from: without excluded classes and those held out for validation.
    pub(super) fn trained(&self) -> Vec<usize> {
        let Settings { exclude_class, validate, seed, .. } = self.settings;
        // Names of classes were checked when training began.
        divide(self.data, exclude_class, *validate, *seed)
            .map_or_else(|_| (0..self.data.train.len()).collect(), |(trained, _)| trained)
    }
}

/// Triplets of test images, each with the distances `d(a, p)` and `d(a, n)` before and after training.
#[derive(Clone, Debug)]
pub(super) struct Triplets {
    pub(super) all: Vec<Triplet>,
    /// Embeddings of the test split by the network as it was initialised.
    pub(super) untrained: Features,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Triplet {
    /// Anchor, positive and negative, in the test split.
    pub(super) images: [usize; 3],
    pub(super) before: (f64, f64),
    pub(super) after: (f64, f64),
}

/// How many test triplets the figures are made of.
const DRAWN: usize = 2000;

impl Triplets {
    /// One triplet each of up to [`DRAWN`] anchors; nothing where the test split has no two classes of two images.
    pub(super) fn draw(e: &ReportInput<'_>) -> Result<Option<Triplets>, FileError> {
        let Split { images, labels, .. } = &e.data.test;
        let of_class = |l: u32| labels.iter().filter(|x| **x == l).count();
        let counts: Vec<usize> = (0..e.data.classes.len()).map(|c| of_class(c as u32)).collect();
        let members: Vec<usize> = (0..labels.len()).filter(|&i| counts[labels[i] as usize] > 1).collect();
        let Ok(sampler) = TripletSampler::new(labels, &e.data.classes, &members, e.settings.seed) else {
            return Ok(None);
        };
        let network = &e.checkpoint.network;
        let untrained =
            Engine::with_tier(network, Tier::found()).embed(&initial(network, e.settings.seed), images)?;
        let all = sampler
            .order(0)
            .into_iter()
            .take(DRAWN)
            .map(|a| {
                let (p, n) = sampler.draw(0, a);
                let distances = |f: &Features| {
                    let d: Distance = e.settings.distance.unwrap_or_default();
                    (d.between(f.row(a), f.row(p)), d.between(f.row(a), f.row(n)))
                };
                Triplet { images: [a, p, n], before: distances(&untrained), after: distances(e.queries) }
            })
            .collect();
        Ok(Some(Triplets { all, untrained }))
    }

    /// The share of triplets whose distances satisfy `test`.
    pub(super) fn share(&self, of: impl Fn(&Triplet) -> (f64, f64), test: impl Fn(f64, f64) -> bool) -> f64 {
        let hits = self.all.iter().map(of).filter(|(ap, an)| test(*ap, *an)).count();
        hits as f64 / self.all.len().max(1) as f64
    }
}

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A whole number with its thousands apart.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}
