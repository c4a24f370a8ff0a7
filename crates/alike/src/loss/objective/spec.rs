//! What an objective is made of, and what does not go together.

use crate::distance::Distance;
use crate::loss::{Elements, Losses, Reducer, Reducers, Regularizer};
use crate::mining::{Mine, Miner};
use crate::text::{self, Choice};

/// What an objective is made of. Losses and miner may be built in or one's own: see [`Loss::own`](crate::loss::Loss::own) and
/// [`Miner::own`].
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

/// Parts of an objective that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ObjectiveError(String);

impl ObjectiveSpec {
    /// These losses by themselves: each one's own distance and reducer, no miner, regularisers or memory.
    pub fn new(losses: impl Into<Losses>) -> ObjectiveSpec {
        ObjectiveSpec {
            losses: losses.into(),
            distance: None,
            reducer: None,
            miner: None,
            regularizers: Vec::new(),
            memory: 0,
        }
    }

    /// Refuses what makes no sense together.
    ///
    /// # Errors
    ///
    /// If a loss or the miner has an impossible value, or a loss does not go with the distance, the reducer, the miner, the
    /// memory, a regulariser or another loss.
    pub fn check(&self) -> Result<(), ObjectiveError> {
        let refuse = |why: String| Err(ObjectiveError(why));
        if self.losses.0.is_empty() {
            return refuse("there is no loss".to_owned());
        }
        let weights = self.losses.0.iter().map(|(w, _)| w).chain(self.regularizers.iter().map(|(w, _)| w));
        if let Some(weight) = weights.copied().find(|w| !w.is_finite()) {
            return refuse(format!("a weight must be a finite number, not {weight}"));
        }
        for (_, loss) in &self.losses.0 {
            let (name, facts) = (loss.name(), loss.facts());
            if let Some(why) = loss.refusal() {
                return refuse(why);
            }
            if facts.proxies == Some(0) {
                return refuse(format!("loss {name} must have at least one proxy per class"));
            }
            if let Some(distance) = self.distance.filter(|d| !facts.distance.takes(*d)) {
                let own = facts.distance.usual();
                return refuse(format!(
                    "loss {name} is defined over {own} only, not over {distance}: leave --distance out"
                ));
            }
            let per_anchor = self.reducer.as_ref().is_some_and(|r| r.0.contains(&Reducer::PerAnchor));
            if per_anchor && facts.elements == Elements::Triplets {
                return refuse(format!(
                    "loss {name} has triplets for elements, which per-anchor cannot reduce: take mean"
                ));
            }
            if self.miner.is_some() && !facts.tuples {
                return refuse(format!("loss {name} looks at every pair of a batch: leave --miner out"));
            }
            if self.memory > 0 && !facts.memory {
                return refuse(format!(
                    "loss {name} cannot take a memory for references: leave --memory out"
                ));
            }
        }
        let of_views = self.losses.0.iter().find(|(_, loss)| loss.facts().views);
        if let Some((_, loss)) = of_views.filter(|_| self.losses.0.len() > 1) {
            let name = loss.name();
            return refuse(format!(
                "{name} takes two views and no labels, so it cannot be added to other losses"
            ));
        }
        for (_, r) in &self.regularizers {
            if r.of_proxies() && !self.learns_proxies() {
                return refuse(format!(
                    "regularizer {} is about proxies, and no loss here learns any",
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
        self.losses.0.iter().any(|(_, loss)| loss.facts().views)
    }

    /// Whether a loss learns proxies, which stand for classes.
    pub fn learns_proxies(&self) -> bool {
        self.losses.0.iter().any(|(_, loss)| loss.facts().proxies.is_some())
    }

    /// Whether the distances of all pairs of a batch are kept, by the miner or a loss.
    pub fn keeps_distances(&self) -> bool {
        self.miner.is_some() || self.losses.0.iter().any(|(_, loss)| loss.facts().keeps_distances)
    }
}

/// Reads a regulariser with its weight: `0.1 * lp:p=1`.
///
/// # Errors
///
/// If the weight is no number, or there is no such regulariser; in words.
pub fn parse_regularizer(text: &str) -> Result<(f64, Regularizer), String> {
    let (weight, name) = text.split_once('*').map_or(("1", text), |(w, name)| (w.trim(), name.trim()));
    let number: Option<f64> = weight.parse().ok().filter(|w: &f64| w.is_finite());
    let weight = number.ok_or_else(|| format!("'{weight}' in '{text}' is not a weight"))?;
    let regularizer = text::parse(name).map_err(|e| e.to_string())?;
    Ok((weight, regularizer))
}
