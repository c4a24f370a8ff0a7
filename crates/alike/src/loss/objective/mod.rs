//! What training minimises: losses, a miner, regularisers and a memory, with what they learn and remember.

mod spec;
#[cfg(test)]
mod tests;

pub use spec::{ObjectiveError, ObjectiveSpec, parse_regularizer};

use super::{Batch, Evaluation, Gradients, Loss, LossReport, Memory, Reducers, References, State};
use crate::distance::Distance;
use crate::mining::{Candidates, Mine, Miner, Tuples, distances};
use crate::rng::Rng;
use alike_kernels::Tier;

/// An objective in use: its parts, with what losses learned and the memory holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    spec: ObjectiveSpec,
    d: usize,
    states: Vec<State>,
    memory: Option<Memory>,
    tier: Tier,
}

impl Objective {
    /// An objective over embeddings of dimension `d` and labels below `classes`. Proxies are drawn by `seed`.
    ///
    /// # Errors
    ///
    /// If the parts do not go together; see [`ObjectiveSpec::check`].
    pub fn new(
        spec: ObjectiveSpec,
        classes: usize,
        d: usize,
        seed: u64,
        tier: Tier,
    ) -> Result<Objective, ObjectiveError> {
        spec.check()?;
        let state =
            |(i, loss): (usize, &(f64, Loss))| State::new(loss.1.function(), classes, d, seed, i as u64);
        let states = spec.losses.0.iter().enumerate().map(state).collect();
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

    /// How many numbers all losses learn.
    pub fn parameter_count(&self) -> usize {
        self.states.iter().map(|s| s.proxies.len() + s.numbers.len()).sum()
    }

    /// Copies the learned numbers of all losses, in order: proxies, then other numbers.
    pub fn read_parameters(&self, into: &mut Vec<f32>) {
        into.clear();
        for state in &self.states {
            into.extend_from_slice(&state.proxies);
            into.extend_from_slice(&state.numbers);
        }
    }

    /// Writes back what [`Objective::read_parameters`] copied.
    ///
    /// # Panics
    ///
    /// If there are not as many.
    pub fn write_parameters(&mut self, from: &[f32]) {
        assert_eq!(from.len(), self.parameter_count(), "objective: learned numbers");
        let mut at = 0;
        for state in &mut self.states {
            for list in [&mut state.proxies, &mut state.numbers] {
                let n = list.len();
                list.copy_from_slice(&from[at..at + n]);
                at += n;
            }
        }
    }

    /// Evaluates a batch of `n x d` embeddings with `n` labels, over the tuples that the miner finds. The gradients by embeddings
    /// and by learned numbers replace what `gradient` and `parameter_gradient` hold; `rng` is that of this step.
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

    /// [`Objective::evaluate`] over these tuples instead of a miner's.
    ///
    /// # Panics
    ///
    /// If lengths disagree, or tuples name a reference that does not exist.
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

    /// How often the miner's tuples name each of `n` images, divided by the largest of these counts; all ones without a miner.
    /// `embeddings` are `n x d`. Nothing is remembered.
    ///
    /// # Panics
    ///
    /// If lengths disagree.
    pub fn weights(&self, embeddings: &[f32], labels: &[u32], rng: &mut Rng) -> Vec<f64> {
        let Some(miner) = &self.spec.miner else { return vec![1.0; labels.len()] };
        let batch = Batch { embeddings, d: self.d, labels, references: None, tuples: &Tuples::All };
        mine(self.tier, miner, self.mining_distance(miner), &batch, rng).weights(labels.len(), false)
    }

    fn mining_distance(&self, miner: &Miner) -> Distance {
        let first = self.spec.losses.0.first().map(|(_, loss)| loss.facts().distance.usual());
        miner.distance().or(self.spec.distance).or(first).unwrap_or_default()
    }

    fn remember(&mut self, embeddings: &[f32], labels: &[u32]) -> Option<usize> {
        assert_eq!(embeddings.len(), labels.len() * self.d, "objective: an embedding for each label");
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
        assert_eq!(gradient.len(), embeddings.len(), "objective: a gradient for each embedding");
        assert_eq!(
            parameter_gradient.len(),
            self.parameter_count(),
            "objective: a gradient for each learned number"
        );
        gradient.fill(0.0);
        parameter_gradient.fill(0.0);
        let references = references(self.memory.as_ref(), own);
        let batch = Batch { embeddings, d: self.d, labels, references, tuples };
        let mut report = LossReport::default();
        let mut rest = &mut *parameter_gradient;
        let count = self.spec.losses.0.len().max(1) as f64;
        for ((weight, loss), state) in self.spec.losses.0.iter().zip(&mut self.states) {
            let (proxies, after) = rest.split_at_mut(state.proxies.len());
            let (numbers, after) = after.split_at_mut(state.numbers.len());
            rest = after;
            let (loss, facts) = (loss.function(), loss.facts());
            let distance = self.spec.distance.unwrap_or(facts.distance.usual());
            let reducers = self.spec.reducer.clone().unwrap_or_else(|| Reducers(vec![facts.reducer])).pair();
            let per_class = facts.proxies.unwrap_or(1);
            let regularizers = self.spec.regularizers.iter().filter(|(_, r)| r.of_proxies());
            for (share, regularizer) in regularizers.filter(|_| !state.proxies.is_empty()) {
                report.loss +=
                    share * regularizer.evaluate(&state.proxies, self.d, per_class, *share, proxies);
            }
            let into = Gradients { embeddings: &mut *gradient, proxies, numbers };
            let one = Evaluation::of(loss, self.tier, distance, &reducers, state, batch, *weight, into);
            report.loss += one.loss;
            report.active += one.active / count;
            report.d_ap += one.d_ap / count;
            report.d_an += one.d_an / count;
        }
        for (share, regularizer) in self.spec.regularizers.iter().filter(|(_, r)| !r.of_proxies()) {
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
