//! All losses by name, and how each is evaluated.

use super::cosine_softmax::{CosineSoftmax, Scale, Target};
use super::dynamic_soft_margin::WithHistogram;
use super::manifold::OverProxies;
use super::margin::WithBeta;
use super::row::{self, Into, Setup};
use super::triplet_swap::TripletSwap;
use super::{
    Angular, ArcFace, Batch, Circle, Contrastive, CosFace, DynamicSoftMargin, FastAp,
    GeneralizedLiftedStructure, Histogram, Instance, IntraPairVariance, LargeMarginSoftmax, LiftedStructure,
    LossReport, Manifold, Margin, MultiSimilarity, NPairs, Nca, NormalizedSoftmax, NtXent, P2sGrad, Pnp,
    ProxyAnchor, RankedList, Reducer, References, RowLoss, SmoothAp, SoftTriple, SphereFace,
    SubCenterArcFace, SupCon, ThresholdConsistentMargin, TripletMargin, TupletMargin, VicReg, WholeLoss,
    large_margin_softmax, proxy_anchor, whole,
};
use crate::distance::Distance;
use crate::mining::Tuples;
use crate::rng::{Purpose, RngExt, stream};
use crate::text::{self, Choice};
use alike_kernels::Tier;
use serde::{Deserialize, Serialize};

macro_rules! losses {
    ($($(#[$doc:meta])* $name:literal $variant:ident($config:ty) $summary:literal;)*) => {
        /// A loss, by name, with its values.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Loss {
            $(
                #[doc = $summary]
                #[serde(rename = $name)]
                $variant($config),
            )*
        }

        impl Choice for Loss {
            const WHAT: &'static str = "loss";

            fn all() -> Vec<Loss> {
                vec![$(Loss::$variant(<$config>::default()),)*]
            }
        }

        impl Loss {
            /// What it is, in a line.
            pub fn summary(&self) -> &'static str {
                match self {
                    $(Loss::$variant(_) => $summary,)*
                }
            }
        }
    };
}

losses! {
    "contrastive" Contrastive(Contrastive) "positive pairs near, negative pairs beyond a margin (Hadsell 2006)";
    "triplet-margin" TripletMargin(TripletMargin) "the negative farther than the positive by a margin (Schroff 2015)";
    "margin" Margin(Margin) "both kinds of pairs a margin away from a boundary that may be learned (Wu 2017)";
    "multi-similarity" MultiSimilarity(MultiSimilarity) "all hard pairs, the hardest most; a strong first choice (Wang 2019)";
    "circle" Circle(Circle) "each pair weighted by how far it is from its optimum (Sun 2020)";
    "lifted-structure" LiftedStructure(LiftedStructure) "each positive pair against the negatives of both its images (Song 2016)";
    "generalized-lifted-structure" GeneralizedLiftedStructure(GeneralizedLiftedStructure) "a smooth batch-hard loss (Hermans 2017)";
    "n-pairs" NPairs(NPairs) "one pair of each class against all others (Sohn 2016)";
    "nca" Nca(Nca) "the probability of nearest-neighbour classification (Goldberger 2004)";
    "nt-xent" NtXent(NtXent) "each positive pair against the anchor's negatives; two views without labels (Chen 2020)";
    "supervised-contrastive" SupCon(SupCon) "NT-Xent with any number of positives (Khosla 2020)";
    "tuplet-margin" TupletMargin(TupletMargin) "each positive, a margin of angle taken off, against all negatives (Yu 2019)";
    "angular" Angular(Angular) "the angle at the negative (Wang 2017)";
    "intra-pair-variance" IntraPairVariance(IntraPairVariance) "pairs of a kind equally similar; to be added to another loss (Yu 2019)";
    "instance" Instance(Instance) "every image a class of its own (Zheng 2020)";
    "snr-contrastive" SnrContrastive(Contrastive) "contrastive over the signal-to-noise distance (Yuan 2019)";
    "fast-ap" FastAp(FastAp) "average precision over soft histograms; large batches (Cakir 2019)";
    "smooth-ap" SmoothAp(SmoothAp) "average precision with smooth ranks (Brown 2020)";
    "histogram" Histogram(Histogram) "that a negative pair is more similar than a positive one; nothing to choose (Ustinova 2016)";
    "ranked-list" RankedList(RankedList) "far positives and near negatives, weighted by violation (Wang 2019)";
    "pnp" Pnp(Pnp) "negatives that rank before positives (Li 2022)";
    "threshold-consistent-margin" ThresholdConsistentMargin(ThresholdConsistentMargin) "one threshold for all classes; to be added to another loss (Zhang 2023)";
    "dynamic-soft-margin" DynamicSoftMargin(DynamicSoftMargin) "triplets weighted by how many are easier (Zhang 2019)";
    "manifold" Manifold(Manifold) "random walks to a class's proxy (Aziere 2019)";
    "p2s-grad" P2sGrad(P2sGrad) "cosines to class vectors as targets; nothing to choose (Zhang 2019)";
    "normalized-softmax" NormalizedSoftmax(NormalizedSoftmax) "cross-entropy over cosines to class vectors (Zhai 2019)";
    "arcface" ArcFace(ArcFace) "the same, the target's angle widened; many classes of few images (Deng 2019)";
    "subcenter-arcface" SubCenterArcFace(SubCenterArcFace) "ArcFace with several vectors a class; noisy labels (Deng 2020)";
    "cosface" CosFace(CosFace) "the same, the target's cosine lowered (Wang 2018)";
    "sphereface" SphereFace(SphereFace) "the same, the target's angle multiplied (Liu 2017)";
    "large-margin-softmax" LargeMarginSoftmax(LargeMarginSoftmax) "SphereFace with class vectors of any length (Liu 2016)";
    "proxy-nca" ProxyNca(Nca) "NCA over class vectors (Movshovitz-Attias 2017)";
    "proxy-anchor" ProxyAnchor(ProxyAnchor) "class vectors as anchors, the batch their references; converges fast (Kim 2020)";
    "soft-triple" SoftTriple(SoftTriple) "several class vectors, softly joined; classes of several looks (Qian 2019)";
    "vicreg" VicReg(VicReg) "two views alike, coordinates that vary and do not depend on each other; no labels (Bardes 2022)";
}

impl std::str::FromStr for Loss {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Loss, text::ChoiceError> {
        text::parse(s)
    }
}

/// What a loss learns or remembers from batch to batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Class vectors, `classes x centers x d`.
    pub vectors: Vec<f32>,
    /// Other learned numbers: the margin loss's boundaries.
    pub numbers: Vec<f32>,
    /// A running histogram.
    pub histogram: Vec<f64>,
}

/// Where gradients are added.
#[derive(Debug)]
pub(super) struct Gradients<'a> {
    pub(super) embeddings: &'a mut [f32],
    pub(super) vectors: &'a mut [f32],
    pub(super) numbers: &'a mut [f32],
}

impl Loss {
    /// The distance that it takes unless told otherwise.
    pub fn default_distance(&self) -> Distance {
        match self {
            Loss::FastAp(_) | Loss::Nca(_) | Loss::ProxyNca(_) => Distance::SquaredChord,
            Loss::SnrContrastive(_) => Distance::Snr,
            Loss::Contrastive(_)
            | Loss::TripletMargin(_)
            | Loss::Margin(_)
            | Loss::LiftedStructure(_)
            | Loss::GeneralizedLiftedStructure(_)
            | Loss::RankedList(_)
            | Loss::DynamicSoftMargin(_) => Distance::Chord,
            _ => Distance::Cosine,
        }
    }

    /// Whether its formula means anything over this distance.
    pub fn takes(&self, distance: Distance) -> bool {
        let free = matches!(
            self,
            Loss::Contrastive(_)
                | Loss::TripletMargin(_)
                | Loss::Margin(_)
                | Loss::MultiSimilarity(_)
                | Loss::LiftedStructure(_)
                | Loss::GeneralizedLiftedStructure(_)
                | Loss::NPairs(_)
                | Loss::Nca(_)
                | Loss::ProxyNca(_)
                | Loss::NtXent(_)
                | Loss::SupCon(_)
                | Loss::RankedList(_)
        );
        free || distance == self.default_distance()
    }

    /// The reducer that it takes unless told otherwise.
    pub fn default_reducer(&self) -> Reducer {
        match self {
            Loss::Contrastive(_)
            | Loss::SnrContrastive(_)
            | Loss::TripletMargin(_)
            | Loss::Circle(_)
            | Loss::SupCon(_) => Reducer::NonZero,
            Loss::Margin(_) | Loss::ProxyAnchor(_) => Reducer::Divisor,
            _ => Reducer::Mean,
        }
    }

    /// Class vectors a class, if it learns any.
    pub fn centers(&self) -> Option<usize> {
        match self {
            Loss::SubCenterArcFace(l) => Some(l.sub_centers),
            Loss::SoftTriple(l) => Some(l.centers_per_class),
            Loss::P2sGrad(_)
            | Loss::NormalizedSoftmax(_)
            | Loss::ArcFace(_)
            | Loss::CosFace(_)
            | Loss::SphereFace(_)
            | Loss::LargeMarginSoftmax(_)
            | Loss::ProxyNca(_)
            | Loss::ProxyAnchor(_)
            | Loss::Manifold(_) => Some(1),
            _ => None,
        }
    }

    /// Whether its elements are triplets, which have no anchor's mean.
    pub fn of_triplets(&self) -> bool {
        matches!(self, Loss::TripletMargin(_) | Loss::Margin(_) | Loss::DynamicSoftMargin(_))
    }

    /// Whether mined tuples mean anything to it: as what it looks at, or as weights.
    pub fn takes_tuples(&self) -> bool {
        !matches!(
            self,
            Loss::Instance(_)
                | Loss::RankedList(_)
                | Loss::Pnp(_)
                | Loss::P2sGrad(_)
                | Loss::Manifold(_)
                | Loss::VicReg(_)
        )
    }

    /// Whether its references may be a memory.
    pub fn takes_memory(&self) -> bool {
        matches!(
            self,
            Loss::Contrastive(_)
                | Loss::SnrContrastive(_)
                | Loss::TripletMargin(TripletMargin { swap: false, .. })
                | Loss::Margin(_)
                | Loss::MultiSimilarity(_)
                | Loss::Circle(_)
                | Loss::GeneralizedLiftedStructure(_)
                | Loss::Nca(_)
                | Loss::NtXent(_)
                | Loss::SupCon(_)
                | Loss::TupletMargin(_)
                | Loss::ThresholdConsistentMargin(_)
        )
    }

    /// Whether it takes two views of each image and no labels.
    pub fn needs_views(&self) -> bool {
        matches!(self, Loss::VicReg(_))
    }

    /// Whether it keeps the distances of all pairs of a batch.
    pub fn keeps_distances(&self) -> bool {
        matches!(
            self,
            Loss::TripletMargin(TripletMargin { swap: true, .. })
                | Loss::LiftedStructure(_)
                | Loss::NPairs(_)
                | Loss::Angular(_)
                | Loss::IntraPairVariance(_)
                | Loss::Histogram(_)
                | Loss::DynamicSoftMargin(_)
        )
    }

    /// Why its values are impossible, if they are.
    pub fn refusal(&self) -> Option<String> {
        let bad = |what: &str| Some(format!("loss {}: {what}", self.name()));
        for (key, value) in self.values() {
            if value.as_f64().is_some_and(|v| !v.is_finite()) {
                return bad(&format!("{key} is not a finite number"));
            }
            let positive = [
                "temperature",
                "scale",
                "alpha",
                "beta",
                "gamma",
                "anneal",
                "la",
                "num-bins",
                "num_bins",
                "softmax-scale",
                "sub-centers",
                "centers-per-class",
                "b",
            ];
            let is_margin_loss = matches!(self, Loss::Margin(_));
            if positive.contains(&key.as_str()) && !is_margin_loss && value.as_f64().is_some_and(|v| v <= 0.0)
            {
                return bad(&format!("{key} must be above 0"));
            }
        }
        match self {
            Loss::LargeMarginSoftmax(LargeMarginSoftmax { margin, .. })
            | Loss::SphereFace(SphereFace { margin, .. })
                if *margin == 0 || *margin > 16 =>
            {
                bad("margin is a whole number from 1 to 16")
            }
            Loss::Manifold(Manifold { alpha, .. }) if !(0.0..1.0).contains(alpha) => bad("alpha is below 1"),
            Loss::FastAp(FastAp { num_bins: bins })
            | Loss::Histogram(Histogram { num_bins: bins })
            | Loss::DynamicSoftMargin(DynamicSoftMargin { num_bins: bins, .. })
                if *bins > 1 << 16 =>
            {
                bad("num-bins is at most 65536")
            }
            Loss::SubCenterArcFace(SubCenterArcFace { sub_centers: k, .. })
            | Loss::SoftTriple(SoftTriple { centers_per_class: k, .. })
                if *k > 1000 =>
            {
                bad("a class has at most 1000 vectors")
            }
            _ => None,
        }
    }

    /// What it begins with: class vectors of about length 1, drawn by `seed` and the loss's `number`.
    pub fn state(&self, classes: usize, d: usize, seed: u64, number: u64) -> State {
        let mut state = State::default();
        if let Some(centers) = self.centers() {
            let mut rng = stream(seed, Purpose::ClassVectors, number, 0);
            let scale = 1.0 / (d as f64).sqrt();
            // Sums of uniform numbers are near enough to normal, and the same on every machine.
            let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            state.vectors = (0..classes * centers * d).map(|_| (scale * normal()) as f32).collect();
        }
        match self {
            Loss::Margin(m) => {
                state.numbers = vec![m.beta as f32; if m.per_class { classes } else { 1 }];
            }
            Loss::DynamicSoftMargin(l) => state.histogram = vec![0.0; l.num_bins],
            _ => {}
        }
        state
    }

    /// Evaluates the loss over a batch, and adds `weight` times its gradients.
    #[expect(clippy::too_many_arguments, reason = "what is measured how, over what, and where gradients go")]
    pub(super) fn evaluate(
        &self,
        tier: Tier,
        distance: Distance,
        reducers: &[Reducer; 2],
        state: &mut State,
        batch: &Batch<'_>,
        weight: f64,
        into: Gradients<'_>,
    ) -> LossReport {
        if batch.is_empty() {
            return LossReport::default();
        }
        let setup = Setup { tier, distance, reducers };
        let Gradients { embeddings, vectors, numbers } = into;
        let classes = state.vectors.len() / (batch.d * self.centers().unwrap_or(1));
        let class_of: Vec<u32> = match self.centers() {
            Some(centers) => (0..classes as u32).flat_map(|c| std::iter::repeat_n(c, centers)).collect(),
            None => Vec::new(),
        };
        let plain = |loss: &dyn RowLoss, embeddings: &mut [f32]| {
            let into = Into { weight, anchors: embeddings, references: None, parameters: &mut [] };
            row::evaluate(loss, &setup, batch, into)
        };
        let whole = |loss: &dyn WholeLoss, embeddings: &mut [f32]| {
            let into = Into { weight, anchors: embeddings, references: None, parameters: &mut [] };
            whole::evaluate(loss, &setup, batch, into)
        };
        let over_classes = |loss: &dyn RowLoss, embeddings: &mut [f32], vectors: &mut [f32]| {
            let references = References { embeddings: &state.vectors, labels: &class_of, own: None };
            let batch = Batch { references: Some(references), ..*batch };
            let into = Into { weight, anchors: embeddings, references: Some(vectors), parameters: &mut [] };
            row::evaluate(loss, &setup, &batch, into)
        };
        let softmax = |scale: Scale, target: &Target<'_>, embeddings: &mut [f32], vectors: &mut [f32]| {
            let loss = CosineSoftmax { centers: self.centers().unwrap_or(1), scale, target };
            over_classes(&loss, embeddings, vectors)
        };
        match self {
            Loss::Contrastive(l) | Loss::SnrContrastive(l) => plain(l, embeddings),
            Loss::TripletMargin(l) if l.swap => whole(&TripletSwap(*l), embeddings),
            Loss::TripletMargin(l) => plain(l, embeddings),
            Loss::Margin(l) => {
                let loss = WithBeta { margin: *l, beta: &state.numbers };
                let into = Into { weight, anchors: embeddings, references: None, parameters: &mut *numbers };
                let mut report = row::evaluate(&loss, &setup, batch, into);
                if let Some((cost, slope)) = loss.single_cost().filter(|_| row::has_both(batch)) {
                    report.loss += weight * cost;
                    numbers[0] += (weight * slope) as f32;
                }
                report
            }
            Loss::MultiSimilarity(l) => plain(l, embeddings),
            Loss::Circle(l) => plain(l, embeddings),
            Loss::LiftedStructure(l) => whole(l, embeddings),
            Loss::GeneralizedLiftedStructure(l) => plain(l, embeddings),
            Loss::NPairs(l) => whole(l, embeddings),
            Loss::Nca(l) => plain(l, embeddings),
            Loss::NtXent(l) => plain(l, embeddings),
            Loss::SupCon(l) => plain(l, embeddings),
            Loss::TupletMargin(l) => plain(l, embeddings),
            Loss::Angular(l) => whole(l, embeddings),
            Loss::IntraPairVariance(l) => whole(l, embeddings),
            Loss::Instance(l) => plain(l, embeddings),
            Loss::FastAp(l) => plain(l, embeddings),
            Loss::SmoothAp(l) => plain(l, embeddings),
            Loss::Histogram(l) => whole(l, embeddings),
            Loss::RankedList(l) => plain(l, embeddings),
            Loss::Pnp(l) => plain(l, embeddings),
            Loss::ThresholdConsistentMargin(l) => plain(l, embeddings),
            Loss::DynamicSoftMargin(l) => {
                let histogram = state.histogram.clone();
                let loss =
                    WithHistogram { loss: *l, next: std::sync::Mutex::new(histogram.clone()), histogram };
                let report = whole(&loss, embeddings);
                state.histogram = loss.next.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
                report
            }
            Loss::Manifold(l) => {
                let images = batch.len();
                let both = [batch.embeddings, &state.vectors].concat();
                let labels = [batch.labels, &class_of].concat();
                let batch = Batch {
                    embeddings: &both,
                    d: batch.d,
                    labels: &labels,
                    references: None,
                    tuples: &Tuples::All,
                };
                let mut gradient = vec![0.0; both.len()];
                let into = Into { weight, anchors: &mut gradient, references: None, parameters: &mut [] };
                let report = whole::evaluate(&OverProxies { loss: *l, images }, &setup, &batch, into);
                let (own, proxies) = gradient.split_at(images * batch.d);
                embeddings.iter_mut().zip(own).for_each(|(to, g)| *to += g);
                vectors.iter_mut().zip(proxies).for_each(|(to, g)| *to += g);
                report
            }
            Loss::P2sGrad(l) => over_classes(l, embeddings, vectors),
            Loss::NormalizedSoftmax(l) => {
                softmax(Scale::Fixed(1.0 / l.temperature), &|cos| (cos, 1.0), embeddings, vectors)
            }
            Loss::ArcFace(l) => softmax(Scale::Fixed(l.scale), &|cos| l.target(cos), embeddings, vectors),
            Loss::SubCenterArcFace(l) => {
                let arc = ArcFace { margin: l.margin, scale: l.scale };
                softmax(Scale::Fixed(l.scale), &|cos| arc.target(cos), embeddings, vectors)
            }
            Loss::CosFace(l) => {
                softmax(Scale::Fixed(l.scale), &|cos| (cos - l.margin, 1.0), embeddings, vectors)
            }
            Loss::SphereFace(SphereFace { margin, scale }) => {
                let scale = Scale::Lengths { scale: *scale, classes: false };
                softmax(scale, &|cos| large_margin_softmax::target(*margin, cos), embeddings, vectors)
            }
            Loss::LargeMarginSoftmax(LargeMarginSoftmax { margin, scale }) => {
                let scale = Scale::Lengths { scale: *scale, classes: true };
                softmax(scale, &|cos| large_margin_softmax::target(*margin, cos), embeddings, vectors)
            }
            Loss::ProxyNca(l) => over_classes(l, embeddings, vectors),
            Loss::ProxyAnchor(l) => {
                let weights = batch.tuples.weights(batch.len(), false);
                let references = References { embeddings: batch.embeddings, labels: batch.labels, own: None };
                let turned = Batch {
                    embeddings: &state.vectors,
                    d: batch.d,
                    labels: &class_of,
                    references: Some(references),
                    tuples: &Tuples::All,
                };
                let into =
                    Into { weight, anchors: vectors, references: Some(embeddings), parameters: &mut [] };
                let present: std::collections::HashSet<u32> = batch.labels.iter().copied().collect();
                let classes = [present.len(), classes];
                let loss = proxy_anchor::Weighted { loss: *l, weights: &weights, classes };
                row::evaluate(&loss, &setup, &turned, into)
            }
            Loss::SoftTriple(l) => over_classes(l, embeddings, vectors),
            Loss::VicReg(l) => {
                let half = batch.embeddings.len() / 2;
                let (a, b) = batch.embeddings.split_at(half);
                let (da, db) = embeddings.split_at_mut(half);
                let value = l.evaluate(a, b, batch.d, weight, [da, db]);
                LossReport { loss: weight * value, active: 1.0, ..LossReport::default() }
            }
        }
    }
}

/// Losses with weights, written `a + 0.5 * b:x=1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses(pub Vec<(f64, Loss)>);

impl std::str::FromStr for Losses {
    type Err = String;

    fn from_str(text: &str) -> Result<Losses, String> {
        let term = |term: &str| {
            let (weight, loss) = match term.split_once('*') {
                Some((weight, loss)) => {
                    let number: Option<f64> = weight.trim().parse().ok().filter(|w: &f64| w.is_finite());
                    let number =
                        number.ok_or_else(|| format!("'{}' in '{text}' is not a weight", weight.trim()))?;
                    (number, loss)
                }
                None => (1.0, term),
            };
            let loss: Loss = loss.trim().parse().map_err(|e: text::ChoiceError| e.to_string())?;
            loss.refusal().map_or(Ok((weight, loss)), Err)
        };
        text.split(" + ").map(term).collect::<Result<_, _>>().map(Losses)
    }
}

impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (weight, loss)) in self.0.iter().enumerate() {
            let plus = if i > 0 { " + " } else { "" };
            let weight = if *weight == 1.0 { String::new() } else { format!("{weight} * ") };
            write!(f, "{plus}{weight}{}", text::write(loss))?;
        }
        Ok(())
    }
}
