//! What training minimises: losses, a miner, regularisers and a memory, with what they learn and remember.

use super::catalogue::{Gradients, State};
use super::{Batch, LossReport, Losses, Memory, Reducer, Reducers, References, Regularizer};
use crate::distance::Distance;
use crate::mining::{Candidates, Mine, Miner, Tuples, distances};
use crate::rng::Rng;
use crate::text::{self, Choice};
use alike_kernels::Tier;

/// What an objective is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveSpec {
    /// Losses and their weights.
    pub losses: Losses,
    /// For all losses; each one's own if nothing.
    pub distance: Option<Distance>,
    /// For all losses, by term; each one's own if nothing.
    pub reducer: Option<Reducers>,
    /// Which tuples count; all if nothing.
    pub miner: Option<Miner>,
    /// Regularisers and their weights.
    pub regularizers: Vec<(f64, Regularizer)>,
    /// Embeddings of past batches that are references; none if zero.
    pub memory: usize,
}

/// What does not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ObjectiveError(String);

impl ObjectiveSpec {
    /// Refuses what makes no sense together.
    pub fn check(&self) -> Result<(), ObjectiveError> {
        let refuse = |why: String| Err(ObjectiveError(why));
        for (_, loss) in &self.losses.0 {
            let name = loss.name();
            if let Some(why) = loss.refusal() {
                return refuse(why);
            }
            if let Some(distance) = self.distance.filter(|d| !loss.takes(*d)) {
                let own = loss.default_distance();
                return refuse(format!(
                    "loss {name} is defined over {own} only, not over {distance}: leave --distance out"
                ));
            }
            let per_anchor = self.reducer.as_ref().is_some_and(|r| r.0.contains(&Reducer::PerAnchor));
            if per_anchor && loss.of_triplets() {
                return refuse(format!(
                    "loss {name} has triplets for elements, which per-anchor cannot reduce: take mean"
                ));
            }
            if self.miner.is_some() && !loss.takes_tuples() {
                return refuse(format!("loss {name} looks at every pair of a batch: leave --miner out"));
            }
            if self.memory > 0 && !loss.takes_memory() {
                return refuse(format!(
                    "loss {name} cannot take a memory for references: leave --memory out"
                ));
            }
        }
        if self.losses.0.iter().any(|(_, l)| l.needs_views()) && self.losses.0.len() > 1 {
            return refuse(
                "vicreg takes two views and no labels, so it cannot be added to other losses".into(),
            );
        }
        let learns = self.losses.0.iter().any(|(_, l)| l.centers().is_some());
        for (_, r) in &self.regularizers {
            if r.of_classes() && !learns {
                return refuse(format!(
                    "regularizer {} is about class vectors, and no loss here learns any",
                    r.name()
                ));
            }
        }
        if let Some(miner) = &self.miner
            && let Some(why) = miner.refusal()
        {
            return refuse(format!("miner {}: {why}", miner.name()));
        }
        Ok(())
    }

    /// Whether batches must hold two views of each image.
    pub fn needs_views(&self) -> bool {
        self.losses.0.iter().any(|(_, l)| l.needs_views())
    }
}

/// An objective in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    spec: ObjectiveSpec,
    d: usize,
    states: Vec<State>,
    memory: Option<Memory>,
    tier: Tier,
}

impl Objective {
    /// An objective over embeddings of `d` numbers and labels below `classes`.
    pub fn new(
        spec: ObjectiveSpec,
        classes: usize,
        d: usize,
        seed: u64,
        tier: Tier,
    ) -> Result<Objective, ObjectiveError> {
        spec.check()?;
        let states =
            spec.losses.0.iter().enumerate().map(|(i, (_, l))| l.state(classes, d, seed, i as u64)).collect();
        let memory = (spec.memory > 0).then(|| Memory::new(spec.memory, d));
        Ok(Objective { spec, d, states, memory, tier })
    }

    /// What it is made of.
    pub fn spec(&self) -> &ObjectiveSpec {
        &self.spec
    }

    /// What losses learn and remember, in order.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The same, to be changed.
    pub fn states_mut(&mut self) -> &mut [State] {
        &mut self.states
    }

    /// The memory, if there is one.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    /// The same, to be changed.
    pub fn memory_mut(&mut self) -> Option<&mut Memory> {
        self.memory.as_mut()
    }

    /// Learned numbers of all losses.
    pub fn parameter_count(&self) -> usize {
        self.states.iter().map(|s| s.vectors.len() + s.numbers.len()).sum()
    }

    /// Copies the learned numbers of all losses, in order: vectors, then other numbers.
    pub fn read_parameters(&self, into: &mut Vec<f32>) {
        into.clear();
        for state in &self.states {
            into.extend_from_slice(&state.vectors);
            into.extend_from_slice(&state.numbers);
        }
    }

    /// Writes them back.
    ///
    /// # Panics
    ///
    /// If there are not as many.
    pub fn write_parameters(&mut self, from: &[f32]) {
        assert_eq!(from.len(), self.parameter_count(), "objective: learned numbers");
        let mut at = 0;
        for state in &mut self.states {
            for list in [&mut state.vectors, &mut state.numbers] {
                let n = list.len();
                list.copy_from_slice(&from[at..at + n]);
                at += n;
            }
        }
    }

    /// Evaluates a batch of `n x d` embeddings. The gradients of embeddings and of learned numbers replace what the
    /// slices hold; `rng` is that of this step.
    ///
    /// # Panics
    ///
    /// If lengths disagree.
    pub fn evaluate(
        &mut self,
        embeddings: &[f32],
        labels: &[u32],
        rng: &mut Rng,
        gradient: &mut [f32],
        parameter_gradient: &mut [f32],
    ) -> LossReport {
        let own = self.remember(embeddings, labels);
        let Some(miner) = &self.spec.miner else {
            return self.over(embeddings, labels, own, &Tuples::All, gradient, parameter_gradient);
        };
        let distance = self.mining_distance(miner);
        let references = references(self.memory.as_ref(), own);
        let all = Batch { embeddings, d: self.d, labels, references, tuples: &Tuples::All };
        let tuples = mine(self.tier, miner, distance, &all, rng);
        self.over(embeddings, labels, own, &tuples, gradient, parameter_gradient)
    }

    /// The same over tuples of one's own.
    ///
    /// # Panics
    ///
    /// If lengths disagree, or tuples name what is not there.
    pub fn evaluate_tuples(
        &mut self,
        embeddings: &[f32],
        labels: &[u32],
        tuples: &Tuples,
        gradient: &mut [f32],
        parameter_gradient: &mut [f32],
    ) -> LossReport {
        let own = self.remember(embeddings, labels);
        self.over(embeddings, labels, own, tuples, gradient, parameter_gradient)
    }

    /// How often the miner's tuples name each image of a batch, by the most often named; all ones without a miner. Nothing
    /// is remembered.
    pub fn weights(&self, embeddings: &[f32], labels: &[u32], rng: &mut Rng) -> Vec<f64> {
        let Some(miner) = &self.spec.miner else { return vec![1.0; labels.len()] };
        let batch = Batch { embeddings, d: self.d, labels, references: None, tuples: &Tuples::All };
        mine(self.tier, miner, self.mining_distance(miner), &batch, rng).weights(labels.len(), false)
    }

    fn mining_distance(&self, miner: &Miner) -> Distance {
        let first = self.spec.losses.0.first().map(|(_, l)| l.default_distance());
        miner.distance().or(self.spec.distance).or(first).unwrap_or_default()
    }

    fn remember(&mut self, embeddings: &[f32], labels: &[u32]) -> Option<usize> {
        assert_eq!(embeddings.len(), labels.len() * self.d, "objective: an embedding a label");
        self.memory.as_mut().map(|m| m.put(embeddings, labels))
    }

    fn over(
        &mut self,
        embeddings: &[f32],
        labels: &[u32],
        own: Option<usize>,
        tuples: &Tuples,
        gradient: &mut [f32],
        parameter_gradient: &mut [f32],
    ) -> LossReport {
        assert_eq!(gradient.len(), embeddings.len(), "objective: a gradient an embedding");
        assert_eq!(
            parameter_gradient.len(),
            self.parameter_count(),
            "objective: a gradient a learned number"
        );
        gradient.fill(0.0);
        parameter_gradient.fill(0.0);
        let references = references(self.memory.as_ref(), own);
        let batch = Batch { embeddings, d: self.d, labels, references, tuples };
        let mut report = LossReport::default();
        let mut rest = &mut *parameter_gradient;
        let count = self.spec.losses.0.len().max(1) as f64;
        for ((weight, loss), state) in self.spec.losses.0.iter().zip(&mut self.states) {
            let (vectors, after) = rest.split_at_mut(state.vectors.len());
            let (numbers, after) = after.split_at_mut(state.numbers.len());
            rest = after;
            let distance = self.spec.distance.unwrap_or_else(|| loss.default_distance());
            let reducers =
                self.spec.reducer.clone().unwrap_or_else(|| Reducers(vec![loss.default_reducer()]));
            let centers = loss.centers().unwrap_or(1);
            let regularizers = self.spec.regularizers.iter().filter(|(_, r)| r.of_classes());
            for (share, regularizer) in regularizers.filter(|_| !state.vectors.is_empty()) {
                report.loss += share * regularizer.evaluate(&state.vectors, self.d, centers, *share, vectors);
            }
            let into = Gradients { embeddings: &mut *gradient, vectors, numbers };
            let one = loss.evaluate(self.tier, distance, &reducers.pair(), state, &batch, *weight, into);
            report.loss += one.loss;
            report.active += one.active / count;
            report.d_ap += one.d_ap / count;
            report.d_an += one.d_an / count;
        }
        for (share, regularizer) in self.spec.regularizers.iter().filter(|(_, r)| !r.of_classes()) {
            report.loss += share * regularizer.evaluate(embeddings, self.d, 1, *share, gradient);
        }
        report
    }
}

fn references(memory: Option<&Memory>, own: Option<usize>) -> Option<References<'_>> {
    memory.map(|m| {
        let (embeddings, labels) = m.content();
        References { embeddings, labels, own }
    })
}

/// The tuples that a miner finds in a batch.
fn mine(tier: Tier, miner: &Miner, distance: Distance, batch: &Batch<'_>, rng: &mut Rng) -> Tuples {
    let references = batch.references.as_ref();
    let candidates = Candidates {
        labels: batch.labels,
        references: references.map_or(batch.labels, |r| r.labels),
        distances: distances(tier, distance, batch.embeddings, references.map(|r| r.embeddings), batch.d),
        d: batch.d,
        itself: (0..batch.len()).map(|i| batch.itself(i)).collect(),
    };
    miner.mine(&candidates, rng)
}

/// Reads a regulariser with its weight: `0.1 * lp:p=1`.
pub fn parse_regularizer(text: &str) -> Result<(f64, Regularizer), String> {
    let (weight, name) = text.split_once('*').map_or(("1", text), |(w, name)| (w.trim(), name.trim()));
    let weight: f64 = weight.parse().map_err(|_| format!("'{weight}' in '{text}' is not a weight"))?;
    let regularizer = text::parse(name).map_err(|e| e.to_string())?;
    Ok((weight, regularizer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use crate::rng::{Purpose, stream};

    fn spec(losses: &str) -> ObjectiveSpec {
        let losses = losses.parse().unwrap();
        ObjectiveSpec { losses, distance: None, reducer: None, miner: None, regularizers: vec![], memory: 0 }
    }

    /// Every loss that there is, whose values a reference has proved elsewhere: its gradients against differences of its own
    /// value, for embeddings and for what it learns.
    #[test]
    fn gradients_of_every_loss_agree_with_finite_differences() {
        for loss in Loss::all() {
            // Ranks as steep as the defaults' have no finite differences in f32.
            let text = match loss.name().as_str() {
                name @ "smooth-ap" => format!("{name}:temperature=0.3"),
                // Narrow bins have a kink at every step.
                name @ "histogram" => format!("{name}:num-bins=8"),
                name @ "pnp" => format!("{name}:anneal=0.3"),
                name @ "margin" => format!("{name}:learn-beta=true,per-class=true,nu=0.1"),
                name @ ("arcface" | "cosface" | "subcenter-arcface" | "tuplet-margin" | "instance") => {
                    format!("{name}:{}", if name == "instance" { "gamma=4" } else { "scale=4" })
                }
                name => name.to_owned(),
            };
            check_gradient(&spec(&text));
        }
        let mut other = spec("triplet-margin:swap=true,margin=0.6 + 0.5 * multi-similarity");
        other.regularizers = vec![(0.2, Regularizer::Lp(Default::default())), (0.1, Regularizer::ZeroMean)];
        check_gradient(&other);
        let mut classes = spec("soft-triple:centers-per-class=3");
        classes.regularizers = vec![
            (0.2, Regularizer::SparseCenters),
            (0.3, Regularizer::CenterInvariant),
            (0.1, Regularizer::RegularFace),
        ];
        check_gradient(&classes);
        for reducer in ["sum", "mean", "per-anchor", "threshold:low=0.1", "class-weighted:weights=1/2/0.5"] {
            let mut one = spec("contrastive");
            one.reducer = Some(reducer.parse().unwrap());
            check_gradient(&one);
        }
    }

    fn check_gradient(spec: &ObjectiveSpec) {
        check_gradient_at(spec, 1.0);
    }

    fn check_gradient_at(spec: &ObjectiveSpec, length: f32) {
        let (d, labels) = (6, [0u32, 0, 1, 1, 2, 2, 2, 0]);
        let mut x: Vec<f32> =
            (0..labels.len() * d).map(|i| (i as f32 * 1.3 + 0.2).sin() * 1.5 * length).collect();
        let fresh = Objective::new(spec.clone(), 3, d, 7, Tier::available()[0]).unwrap();
        let value = |objective: &Objective, x: &[f32]| {
            let (mut g, mut p) = (vec![0.0; x.len()], vec![0.0; objective.parameter_count()]);
            let rng = &mut stream(0, Purpose::Mining, 0, 0);
            let report = objective.clone().evaluate(x, &labels, rng, &mut g, &mut p);
            (report.loss, g, p)
        };
        let (loss, gradient, by_parameter) = value(&fresh, &x);
        let name = spec.losses.to_string();
        assert!(loss.is_finite() && loss.abs() > 1e-4, "{name}: {loss}");
        let scale = gradient.iter().fold(1e-2 / length, |m, g| m.max(g.abs()));
        let by_scale = by_parameter.iter().fold(scale.min(1e-2), |m, g| m.max(g.abs()));
        let by_scale = if length == 1.0 { by_scale.max(scale) } else { by_scale };
        let e = length / 512.0;
        // Weights that have no slope by definition: differences of the value as a whole are not theirs.
        if name.starts_with("dynamic-soft-margin") || name.starts_with("circle") {
            return;
        }
        let mut off = 0;
        let mut tried = 0;
        for i in 0..x.len() {
            let old = x[i];
            x[i] = old + e;
            let up = value(&fresh, &x).0;
            x[i] = old - e;
            let down = value(&fresh, &x).0;
            x[i] = old;
            let numeric = (up - down) / f64::from(2.0 * e);
            tried += 1;
            off += usize::from((numeric - f64::from(gradient[i])).abs() > 0.03 * f64::from(scale));
        }
        let e = 1.0 / 512.0;
        let mut parameters = Vec::new();
        fresh.read_parameters(&mut parameters);
        for i in 0..parameters.len() {
            let mut moved = |e: f32| {
                let mut objective = fresh.clone();
                let old = parameters[i];
                parameters[i] = old + e;
                objective.write_parameters(&parameters);
                parameters[i] = old;
                value(&objective, &x).0
            };
            let numeric = (moved(e) - moved(-e)) / f64::from(2.0 * e);
            tried += 1;
            off += usize::from((numeric - f64::from(by_parameter[i])).abs() > 0.03 * f64::from(by_scale));
        }
        // A hinge within a step of its kink has no derivative to compare with.
        assert!(off * 50 <= tried, "{name}: {off} of {tried} slopes are off");
    }

    /// At lengths of 1e4 and 1e-4 the gradients of what sees directions alone are as many times smaller or larger; all are
    /// numbers, with vectors of no length, equal and opposite ones too.
    #[test]
    fn gradients_are_numbers_at_all_lengths() {
        let (d, labels) = (6, [0u32, 0, 1, 1, 2, 2, 2, 0]);
        let usual: Vec<f32> = (0..labels.len() * d).map(|i| (i as f32 * 1.3 + 0.2).sin() * 1.5).collect();
        let value = |spec: &ObjectiveSpec, x: &[f32]| {
            let mut objective = Objective::new(spec.clone(), 3, d, 7, Tier::available()[0]).unwrap();
            let (mut g, mut p) = (vec![0.0; x.len()], vec![0.0; objective.parameter_count()]);
            let report =
                objective.evaluate(x, &labels, &mut stream(0, Purpose::Mining, 0, 0), &mut g, &mut p);
            (report, g, p)
        };
        let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        for loss in Loss::all() {
            let mut specs = vec![spec(&loss.name())];
            for distance in Distance::NAMED.map(|(_, d)| d).into_iter().chain([Distance::Lp(3.0)]) {
                if loss.takes(distance) && distance != loss.default_distance() {
                    specs.push(ObjectiveSpec { distance: Some(distance), ..spec(&loss.name()) });
                }
            }
            for spec in specs {
                let name = format!("{} by {:?}", spec.losses, spec.distance);
                let directions = spec.distance.unwrap_or_else(|| loss.default_distance()).of_directions()
                    && !["large-margin-softmax", "sphereface", "vicreg"].contains(&loss.name().as_str());
                let (report, gradient, _) = value(&spec, &usual);
                for scale in [1e-4f32, 1e4] {
                    let mut x: Vec<f32> = usual.iter().map(|v| v * scale).collect();
                    let (scaled, g, p) = value(&spec, &x);
                    assert!(scaled.loss.is_finite(), "{name} at {scale}: {scaled:?}");
                    assert!(g.iter().chain(&p).all(|v| v.is_finite()), "{name} at {scale}");
                    if directions {
                        let off: Vec<f32> = g.iter().zip(&gradient).map(|(a, b)| a * scale - b).collect();
                        assert!(
                            (scaled.loss - report.loss).abs() < 1e-3 * report.loss.abs().max(0.01),
                            "{name}: {scaled:?} {report:?}"
                        );
                        assert!(
                            norm(&off) < 1e-2 * norm(&gradient).max(1e-3),
                            "{name}: {} {}",
                            norm(&off),
                            norm(&gradient)
                        );
                    }
                    x[..d].fill(0.0);
                    let (first, rest) = x.split_at_mut(3 * d);
                    rest[..d].copy_from_slice(&first[2 * d..]);
                    rest[d..2 * d].iter_mut().zip(&first[d..2 * d]).for_each(|(to, v)| *to = -v);
                    let (odd, g, p) = value(&spec, &x);
                    assert!(odd.loss.is_finite(), "{name} at {scale} with odd vectors: {odd:?}");
                    assert!(g.iter().chain(&p).all(|v| v.is_finite()), "{name} at {scale} with odd vectors");
                }
            }
        }
        // Weights of violations that no number holds.
        let mut far = spec("ranked-list:tn=1000,tp=100");
        far.distance = Some(Distance::Euclidean);
        let x: Vec<f32> = usual.iter().map(|v| v * 1e4).collect();
        let (report, g, _) = value(&far, &x);
        assert!(
            report.loss.is_finite() && report.loss > 0.0 && g.iter().all(|v| v.is_finite()),
            "{report:?}"
        );
    }

    /// Lengths of 1e4 and of 1e-4 where lengths matter, against differences of the value.
    #[test]
    fn gradients_of_long_and_short_vectors_agree_with_finite_differences() {
        for (losses, distance) in [
            ("contrastive:neg-margin=20000", Distance::Euclidean),
            ("triplet-margin:margin=1", Distance::Euclidean),
            ("multi-similarity:alpha=0.001,beta=0.001,base=9000", Distance::Euclidean),
            ("nt-xent:temperature=5000", Distance::Euclidean),
            ("supervised-contrastive:temperature=5000", Distance::Euclidean),
            ("generalized-lifted-structure:neg-margin=20000", Distance::Euclidean),
            ("nca:softmax-scale=0.0003", Distance::Euclidean),
            ("ranked-list:alpha=15000,tn=0.001", Distance::Euclidean),
            ("supervised-contrastive:temperature=1e8", Distance::Dot),
        ] {
            let one = ObjectiveSpec { distance: Some(distance), ..spec(losses) };
            check_gradient_at(&one, 1e4);
        }
        for losses in ["contrastive", "nt-xent", "large-margin-softmax:scale=10000", "vicreg"] {
            check_gradient_at(&spec(losses), 1e-4);
        }
    }

    #[test]
    fn a_memory_is_a_reference_and_the_batch_is_in_it() {
        let d = 4;
        let mut with = spec("multi-similarity");
        with.memory = 12;
        let mut objective = Objective::new(with, 2, d, 0, Tier::available()[0]).unwrap();
        let plain = Objective::new(spec("multi-similarity"), 2, d, 0, Tier::available()[0]).unwrap();
        let x: Vec<f32> = (0..6 * d).map(|i| (i as f32 * 0.7).sin()).collect();
        let labels = [0, 0, 1, 1, 0, 1];
        let mut g = vec![0.0; x.len()];
        let rng = &mut stream(0, Purpose::Mining, 0, 0);
        let first = objective.evaluate(&x, &labels, rng, &mut g, &mut []).loss;
        // With nothing but itself in the memory the value is the batch's own.
        assert!((first - plain.clone().evaluate(&x, &labels, rng, &mut g, &mut []).loss).abs() < 1e-9);
        let other: Vec<f32> = x.iter().map(|v| v + 0.3).collect();
        let second = objective.evaluate(&other, &labels, rng, &mut g, &mut []).loss;
        assert!((second - plain.clone().evaluate(&other, &labels, rng, &mut g, &mut []).loss).abs() > 1e-3);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let refused = |change: fn(&mut ObjectiveSpec), losses: &str| {
            let mut s = spec(losses);
            change(&mut s);
            s.check().unwrap_err().to_string()
        };
        assert!(refused(|s| s.distance = Some(Distance::Euclidean), "circle").contains("cosine only"));
        assert!(refused(|s| s.reducer = "per-anchor".parse().ok(), "triplet-margin").contains("per-anchor"));
        assert!(refused(|s| s.miner = Some(Miner::BatchHard), "vicreg").contains("--miner"));
        assert!(refused(|s| s.memory = 9, "arcface").contains("memory"));
        assert!(refused(|_| (), "vicreg + circle").contains("two views"));
        assert!(
            refused(|s| s.regularizers = vec![(1.0, Regularizer::RegularFace)], "circle")
                .contains("class vectors")
        );
        assert!("circle:gamma=-1".parse::<Losses>().unwrap_err().contains("gamma must be above 0"));
        assert!("cirle".parse::<Losses>().unwrap_err().contains("did you mean 'circle'"));
        assert!("x * circle".parse::<Losses>().unwrap_err().contains("not a weight"));
    }

    #[test]
    fn losses_are_written_as_they_are_read() {
        for text in ["multi-similarity", "circle:gamma=2 + 0.5 * vicreg", "pnp:variant=Ds"] {
            let losses: Losses = text.parse().unwrap();
            assert_eq!(losses.to_string().parse::<Losses>().unwrap(), losses);
        }
    }
}
