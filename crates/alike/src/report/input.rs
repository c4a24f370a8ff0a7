//! What the page is made from: embeddings of a data set, how they were judged, and how they were learned.

use crate::data::{Dataset, Split};
use crate::distance::Distance;
use crate::engine::{Engine, Tier};
use crate::eval::{Baseline, Judgement, RetrievalReport};
use crate::files::FileError;
use crate::images::Features;
use crate::model::{Checkpoint, initial};
use crate::tasks::Judged;
use crate::train::{Metric, Settings, TripletSampler, divide};

/// Embeddings of a data set and their judgement, and how they were learned.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// What was embedded.
    pub data: &'a Dataset,
    /// How the encoder was trained; nothing for one that was not trained here, whose page lacks the figures of training.
    pub training: Option<TrainingInput<'a>>,
    /// Embeddings of the training split.
    pub gallery: &'a Features,
    /// Embeddings of the test split.
    pub queries: &'a Features,
    /// Image space against feature space.
    pub judgement: &'a Judgement,
    /// How well the learned space retrieves, and pixels where that was not too much work.
    pub retrieval: Option<(&'a RetrievalReport, Option<&'a RetrievalReport>)>,
}

/// How a network was trained.
#[derive(Clone, Copy, Debug)]
pub struct TrainingInput<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// What came of it.
    pub checkpoint: &'a Checkpoint,
    /// Its `metrics.jsonl`.
    pub metrics: &'a [Metric],
}

impl<'a> ReportInput<'a> {
    /// What a page is made from, of a model that was judged on these data.
    pub fn of(judged: &'a Judged, data: &'a Dataset) -> ReportInput<'a> {
        ReportInput {
            data,
            training: judged.training.as_ref().map(|t| TrainingInput {
                settings: &t.settings,
                checkpoint: &t.checkpoint,
                metrics: &t.metrics,
            }),
            gallery: &judged.gallery,
            queries: &judged.queries,
            judgement: &judged.judgement,
            retrieval: None,
        }
    }

    /// What embeddings are compared with.
    pub(super) fn baseline(&self) -> Baseline {
        Baseline::of(self.data)
    }

    /// Decides which images are drawn and sampled.
    pub(super) fn seed(&self) -> u64 {
        self.training.map_or(0, |t| t.settings.seed)
    }

    /// Names of classes that were left out of training.
    pub(super) fn excluded(&self) -> &'a [String] {
        self.training.map_or(&[], |t| &t.settings.exclude_class)
    }

    /// The margin of the triplet loss that it was trained by, if it was.
    pub(super) fn margin(&self) -> Option<f64> {
        Some(self.training?.settings.triplet_margin()?.margin)
    }

    /// What distances between embeddings are measured by.
    pub(super) fn distance(&self) -> Distance {
        self.training.and_then(|t| t.settings.distance).unwrap_or_default()
    }

    /// The training images that it learned from: without excluded classes and those held out for validation.
    pub(super) fn trained(&self) -> Vec<usize> {
        let validate = self.training.map_or(0.0, |t| t.settings.validate);
        // Names of classes were checked when training began.
        divide(self.data, self.excluded(), validate, self.seed())
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
    /// One triplet each of up to [`DRAWN`] anchors; nothing where nothing was trained, or a head that sees no pictures, or where the test split has
    /// no two classes of two images.
    pub(super) fn draw(e: &ReportInput<'_>) -> Result<Option<Triplets>, FileError> {
        let Some(TrainingInput { settings, checkpoint, .. }) = e.training else { return Ok(None) };
        let Split { images, labels, .. } = &e.data.test;
        if checkpoint.network.input() != images.shape() {
            return Ok(None);
        }
        let of_class = |l: u32| labels.iter().filter(|x| **x == l).count();
        let counts: Vec<usize> = (0..e.data.classes.len()).map(|c| of_class(c as u32)).collect();
        let members: Vec<usize> = (0..labels.len()).filter(|&i| counts[labels[i] as usize] > 1).collect();
        let Ok(sampler) = TripletSampler::new(labels, &e.data.classes, &members, settings.seed) else {
            return Ok(None);
        };
        let network = &checkpoint.network;
        let untrained =
            Engine::with_tier(network, Tier::found()).embed(&initial(network, settings.seed), images)?;
        let all = sampler
            .order(0)
            .into_iter()
            .take(DRAWN)
            .map(|a| {
                let (p, n) = sampler.draw(0, a);
                let distances = |f: &Features| {
                    let d = e.distance();
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

/// A sentence's or title's beginning.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// How many of something whose plural has an s.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", thousands(n), if n == 1 { "" } else { "s" })
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
