//! One evaluation of a loss over a batch: what it is given, and the ways in which a formula is applied.

use super::cosine_softmax::{CosineSoftmax, Scale, Target};
use super::row::{self, Into, Setup};
use super::{Batch, LossFunction, LossReport, Reducer, References, RowLoss, WholeLoss, whole};
use crate::distance::Distance;
use crate::mining::Tuples;
use crate::rng::{Purpose, RngExt, stream};
use alike_kernels::Tier;

/// What a loss learns or remembers from batch to batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Proxies, `classes x proxies per class x d`: learned vectors that stand for classes.
    pub proxies: Vec<f32>,
    /// Other learned numbers, such as the margin loss's boundaries.
    pub numbers: Vec<f32>,
    /// A running histogram, which is not learned.
    pub histogram: Vec<f64>,
}

impl State {
    /// What a loss begins with: proxies of about length 1, drawn by `seed` and the loss's `number`, and what the loss says.
    pub fn new(loss: &dyn LossFunction, classes: usize, d: usize, seed: u64, number: u64) -> State {
        let mut state = loss.initial(classes);
        if let Some(per_class) = loss.facts().proxies {
            let mut rng = stream(seed, Purpose::Proxies, number, 0);
            let scale = 1.0 / (d as f64).sqrt();
            // Sums of uniform numbers are near enough to normal, and the same on every machine.
            let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            state.proxies = (0..classes * per_class * d).map(|_| (scale * normal()) as f32).collect();
        }
        state
    }
}

/// Where the gradients of a loss are added.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// By the batch's embeddings, `n x d`.
    pub embeddings: &'a mut [f32],
    /// By [`State::proxies`].
    pub proxies: &'a mut [f32],
    /// By [`State::numbers`].
    pub numbers: &'a mut [f32],
}

/// One evaluation of a loss: a batch, what the loss learned, and where gradients go.
///
/// A loss applies its formula by one of the methods: [`rows`](Evaluation::rows), [`whole`](Evaluation::whole),
/// [`over_proxies`](Evaluation::over_proxies), [`proxies_over_batch`](Evaluation::proxies_over_batch) or
/// [`whole_with_proxies`](Evaluation::whole_with_proxies). All of them add gradients times `weight`, and report the loss times
/// `weight`; a loss that takes none of them does the same by itself.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// The batch, which is not empty.
    pub batch: Batch<'a>,
    /// What the loss and all of its gradients are multiplied by.
    pub weight: f64,
    /// What the loss learned and remembers.
    pub state: &'a mut State,
    /// Where gradients are added.
    pub gradients: Gradients<'a>,
    setup: Setup<'a>,
    proxies_per_class: usize,
}

impl<'a> Evaluation<'a> {
    /// Evaluates `loss` over `batch`; an empty batch comes to nothing.
    #[expect(clippy::too_many_arguments, reason = "what is measured how, over what, and where gradients go")]
    pub(super) fn of(
        loss: &dyn LossFunction,
        tier: Tier,
        distance: Distance,
        reducers: &'a [Reducer; 2],
        state: &'a mut State,
        batch: Batch<'a>,
        weight: f64,
        gradients: Gradients<'a>,
    ) -> LossReport {
        if batch.is_empty() {
            return LossReport::default();
        }
        let facts = loss.facts();
        let setup = Setup { tier, distance, reducers, elements: facts.elements };
        let proxies_per_class = facts.proxies.unwrap_or(1);
        loss.evaluate(&mut Evaluation { batch, weight, state, gradients, setup, proxies_per_class })
    }

    /// Evaluates a formula over each anchor's distances to its references: the batch itself, or a memory.
    ///
    /// # Panics
    ///
    /// If the batch's tuples name a reference that does not exist.
    pub fn rows(&mut self, loss: &dyn RowLoss) -> LossReport {
        let Gradients { embeddings, numbers, .. } = &mut self.gradients;
        let into = Into { weight: self.weight, anchors: embeddings, references: None, numbers };
        row::evaluate(loss, &self.setup, &self.batch, into)
    }

    /// Evaluates a formula over all distances of the batch at once.
    ///
    /// # Panics
    ///
    /// If the batch's tuples name a reference that does not exist.
    pub fn whole(&mut self, loss: &dyn WholeLoss) -> LossReport {
        let anchors = &mut *self.gradients.embeddings;
        let into = Into { weight: self.weight, anchors, references: None, numbers: &mut [] };
        whole::evaluate(loss, &self.setup, &self.batch, into)
    }

    /// Evaluates cross-entropy over cosines to the proxies; `target` is the margin.
    pub(super) fn cosine_softmax(&mut self, scale: Scale, target: &Target<'_>) -> LossReport {
        let proxies_per_class = self.proxies_per_class;
        self.over_proxies(&CosineSoftmax { proxies_per_class, scale, target, smoothing: 0.0 })
    }

    /// Evaluates cross-entropy over cosines to a proxy per class, times `scale`, with smoothed labels: `smoothing` of each label is
    /// spread evenly over all classes.
    pub(super) fn smoothed_softmax(&mut self, scale: f64, smoothing: f64) -> LossReport {
        let (scale, target): (_, &Target<'_>) = (Scale::Fixed(scale), &|cos| (cos, 1.0));
        self.over_proxies(&CosineSoftmax { proxies_per_class: 1, scale, target, smoothing })
    }

    /// Evaluates a formula over each image's distances to all proxies: images are anchors, proxies are references, which
    /// have the labels of their classes.
    ///
    /// # Panics
    ///
    /// If the loss has no proxies, or a label is not one of their classes.
    pub fn over_proxies(&mut self, loss: &dyn RowLoss) -> LossReport {
        let labels = self.proxy_labels();
        let references = References { embeddings: &self.state.proxies, labels: &labels, own: None };
        let batch = Batch { references: Some(references), ..self.batch };
        let Gradients { embeddings, proxies, .. } = &mut self.gradients;
        let into =
            Into { weight: self.weight, anchors: embeddings, references: Some(proxies), numbers: &mut [] };
        row::evaluate(loss, &self.setup, &batch, into)
    }

    /// Evaluates a formula over each proxy's distances to all images: proxies are anchors, images are references. Tuples
    /// choose nothing.
    ///
    /// # Panics
    ///
    /// If the loss has no proxies.
    pub fn proxies_over_batch(&mut self, loss: &dyn RowLoss) -> LossReport {
        let labels = self.proxy_labels();
        let references =
            References { embeddings: self.batch.embeddings, labels: self.batch.labels, own: None };
        let batch = Batch {
            embeddings: &self.state.proxies,
            d: self.batch.d,
            labels: &labels,
            references: Some(references),
            tuples: &Tuples::All,
        };
        let Gradients { embeddings, proxies, .. } = &mut self.gradients;
        let into =
            Into { weight: self.weight, anchors: proxies, references: Some(embeddings), numbers: &mut [] };
        row::evaluate(loss, &self.setup, &batch, into)
    }

    /// Evaluates a formula over all distances of images and proxies together: a batch of the images, then the proxies.
    /// Tuples choose nothing.
    pub fn whole_with_proxies(&mut self, loss: &dyn WholeLoss) -> LossReport {
        let both = [self.batch.embeddings, &self.state.proxies].concat();
        let labels = [self.batch.labels, &self.proxy_labels()].concat();
        let batch = Batch {
            embeddings: &both,
            d: self.batch.d,
            labels: &labels,
            references: None,
            tuples: &Tuples::All,
        };
        let mut gradient = vec![0.0; both.len()];
        let into = Into { weight: self.weight, anchors: &mut gradient, references: None, numbers: &mut [] };
        let report = whole::evaluate(loss, &self.setup, &batch, into);
        let (own, proxies) = gradient.split_at(self.batch.embeddings.len());
        self.gradients.embeddings.iter_mut().zip(own).for_each(|(to, g)| *to += g);
        self.gradients.proxies.iter_mut().zip(proxies).for_each(|(to, g)| *to += g);
        report
    }

    /// Classes that there are proxies of.
    pub fn classes(&self) -> usize {
        self.state.proxies.len() / (self.batch.d * self.proxies_per_class)
    }

    /// Whether the batch has a positive pair at all, and a negative one.
    pub fn has_both(&self) -> bool {
        row::has_both(&self.batch)
    }

    /// The class of each proxy.
    fn proxy_labels(&self) -> Vec<u32> {
        (0..self.classes() as u32).flat_map(|c| std::iter::repeat_n(c, self.proxies_per_class)).collect()
    }
}
