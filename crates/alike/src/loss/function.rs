//! What every loss states about itself, and how it is evaluated: the trait that a new loss implements.

use super::{Elements, Evaluation, LossReport, Reducer, State};
use crate::distance::Distance;

/// The most bins that a histogram may have.
pub(super) const MOST_BINS: u32 = 1 << 16;
/// The most proxies that a class may have.
pub(super) const MOST_PROXIES: u32 = 1000;

/// A loss function: the facts about it, its parameters, and its evaluation.
///
/// Every built-in loss implements this trait in its own file, and so does a loss of one's own, which becomes a [`Loss`](super::Loss)
/// by [`Loss::own`](super::Loss::own). Most losses are a formula in one of two forms, [`RowLoss`](super::RowLoss) and
/// [`WholeLoss`](super::WholeLoss), which [`Evaluation`] evaluates over a batch; a loss that fits neither adds its gradient by
/// itself.
///
/// # Examples
///
/// ```
/// use alike::distance::Distance;
/// use alike::loss::{
///     Elements, Evaluation, Facts, Loss, LossFunction, LossReport, Measure, Parameter, Reducer, Row, RowLoss, RowOut,
/// };
///
/// /// The squared distance of positive pairs. (By itself it collapses: it is an example.)
/// struct Pull {
///     scale: f64,
/// }
///
/// impl LossFunction for Pull {
///     fn facts(&self) -> Facts {
///         Facts {
///             distance: Measure::Any(Distance::Euclidean),
///             reducer: Reducer::Mean,
///             elements: Elements::Anchors,
///             proxies: None,
///             tuples: true,
///             memory: true,
///             views: false,
///             keeps_distances: false,
///         }
///     }
///
///     fn parameters(&self) -> Vec<Parameter> {
///         vec![Parameter::positive("scale", self.scale)]
///     }
///
///     fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
///         evaluation.rows(self)
///     }
/// }
///
/// impl RowLoss for Pull {
///     fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
///         let value = row.positives.iter().map(|p| self.scale * row.d(*p).powi(2)).sum();
///         let weight = out.element(0, value);
///         row.positives.iter().for_each(|p| out.add_gradient(*p, weight * 2.0 * self.scale * row.d(*p)));
///     }
/// }
///
/// assert_eq!(Loss::own("pull", Pull { scale: 1.0 }).refusal(), None);
/// let refused = Loss::own("pull", Pull { scale: 0.0 }).refusal().unwrap();
/// assert_eq!(refused, "loss pull: scale must be above 0");
/// ```
pub trait LossFunction: Send + Sync {
    /// What is true of the loss, whatever the batch.
    fn facts(&self) -> Facts;

    /// Its numeric parameters, each with its value and the range that it must lie in.
    fn parameters(&self) -> Vec<Parameter>;

    /// Evaluates the loss over a batch of at least one image, and adds its gradients, times [`Evaluation::weight`].
    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport;

    /// The state before the first batch, of what the loss learns or remembers besides proxies. By default nothing; a loss that
    /// reads numbers or a histogram that it did not ask for panics at its first batch.
    fn initial(&self, classes: usize) -> State {
        let _ = classes;
        State::default()
    }
}

/// The facts about a loss. None has a default, so that a loss states them all.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The distance that it is a formula of.
    pub distance: Measure,
    /// The reducer that it takes unless told otherwise.
    pub reducer: Reducer,
    /// What one of its elements stands for.
    pub elements: Elements,
    /// Learned proxies per class, if it learns any.
    pub proxies: Option<usize>,
    /// Whether mined tuples mean anything to it: they are what it looks at, or weights of anchors.
    pub tuples: bool,
    /// Whether its references may be embeddings of past batches, which a [`Memory`](super::Memory) holds.
    pub memory: bool,
    /// Whether it compares two views of each image and takes no labels.
    pub views: bool,
    /// Whether it keeps the distances of all pairs of a batch, so that its memory grows with the batch's square.
    pub keeps_distances: bool,
}

/// What a loss measures by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Any distance; this one unless told otherwise.
    Any(Distance),
    /// This distance only: over others the formula means nothing.
    Only(Distance),
}

impl Measure {
    /// The distance that the loss takes unless told otherwise.
    pub fn usual(self) -> Distance {
        match self {
            Measure::Any(distance) | Measure::Only(distance) => distance,
        }
    }

    /// Whether the loss's formula means anything over this distance.
    pub fn takes(self, distance: Distance) -> bool {
        match self {
            Measure::Any(_) => true,
            Measure::Only(own) => own == distance,
        }
    }
}

/// A numeric parameter of a loss: its name, as users write it, its value and its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// As in `name:KEY=VALUE`.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// The values that are allowed.
    pub range: Range,
}

/// The values that a parameter may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Every finite number.
    Finite,
    /// Finite numbers above zero.
    Positive,
    /// Numbers above zero and below this.
    PositiveBelow(f64),
    /// Numbers from zero to below one.
    Share,
    /// Whole numbers from one to this.
    Count(u32),
    /// Whole numbers between these, both included.
    Whole(u32, u32),
}

impl Parameter {
    /// Any finite number.
    pub fn finite(name: &'static str, value: f64) -> Parameter {
        Parameter { name, value, range: Range::Finite }
    }

    /// A finite number above zero.
    pub fn positive(name: &'static str, value: f64) -> Parameter {
        Parameter { name, value, range: Range::Positive }
    }

    /// A number above zero and below `bound`.
    pub fn positive_below(name: &'static str, value: f64, bound: f64) -> Parameter {
        Parameter { name, value, range: Range::PositiveBelow(bound) }
    }

    /// A number from zero to below one.
    pub fn share(name: &'static str, value: f64) -> Parameter {
        Parameter { name, value, range: Range::Share }
    }

    /// A count from one to `most`.
    pub fn count(name: &'static str, value: usize, most: u32) -> Parameter {
        Parameter { name, value: value as f64, range: Range::Count(most) }
    }

    /// A whole number from `least` to `most`.
    pub fn whole(name: &'static str, value: u32, least: u32, most: u32) -> Parameter {
        Parameter { name, value: f64::from(value), range: Range::Whole(least, most) }
    }

    /// Why its value is outside its range, if it is.
    pub fn refusal(&self) -> Option<String> {
        let Parameter { name, value, range } = *self;
        if !value.is_finite() {
            return Some(format!("{name} is not a finite number"));
        }
        let above_zero = || (value <= 0.0).then(|| format!("{name} must be above 0"));
        match range {
            Range::Finite => None,
            Range::Positive => above_zero(),
            Range::PositiveBelow(bound) => {
                above_zero().or_else(|| (value >= bound).then(|| format!("{name} must be below {bound}")))
            }
            Range::Share => {
                (!(0.0..1.0).contains(&value)).then(|| format!("{name} must be from 0 to below 1"))
            }
            Range::Count(most) => above_zero()
                .or_else(|| (value > f64::from(most)).then(|| format!("{name} must be at most {most}"))),
            Range::Whole(least, most) => (!(f64::from(least)..=f64::from(most)).contains(&value))
                .then(|| format!("{name} must be a whole number from {least} to {most}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use crate::text::Choice;

    /// A number that a loss takes and does not check would be taken at any value.
    #[test]
    fn every_number_that_a_loss_takes_has_a_range() {
        for loss in Loss::all() {
            let numbers: Vec<String> =
                loss.values().into_iter().filter(|(_, v)| v.is_number()).map(|(key, _)| key).collect();
            let mut stated: Vec<&str> = loss.function().parameters().iter().map(|p| p.name).collect();
            stated.sort_unstable();
            assert_eq!(stated, numbers, "{}", loss.name());
            assert_eq!(loss.refusal(), None, "{}", loss.name());
        }
    }

    #[test]
    fn a_value_outside_its_range_is_refused_with_the_range() {
        let why = |p: Parameter| p.refusal().unwrap_or_default();
        assert_eq!(why(Parameter::finite("m", f64::NAN)), "m is not a finite number");
        assert_eq!(why(Parameter::finite("m", -9.0)), "");
        assert_eq!(why(Parameter::positive("scale", 0.0)), "scale must be above 0");
        assert_eq!(why(Parameter::positive_below("alpha", 1.0, 1.0)), "alpha must be below 1");
        assert_eq!(why(Parameter::count("num-bins", 0, 10)), "num-bins must be above 0");
        assert_eq!(why(Parameter::count("num-bins", 11, 10)), "num-bins must be at most 10");
        assert_eq!(why(Parameter::whole("margin", 17, 1, 16)), "margin must be a whole number from 1 to 16");
        assert_eq!(why(Parameter::whole("margin", 16, 1, 16)), "");
    }
}
