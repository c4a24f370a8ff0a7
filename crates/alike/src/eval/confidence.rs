//! How sure an answer is: as sure as answers like it were often right.
//!
//! An answer's *score* says how much nearer its class is than the others: the log-odds of a softmax over negative squared distances. How
//! often answers of each score were right, among images of known class, is a curve: straight pieces between a few scores, in
//! log-odds, found by maximum likelihood (as Platt 1999 has it with one piece). A curve that few answers taught
//! is not worth showing: its standard error is known (Wald), and is to be a point at most in the mean and a point and a half in the
//! least sure tenth.

use nalgebra::{DMatrix, DVector};
use serde::Serialize;

/// How sure answers are, by their scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Confidence {
    /// The standard error of a confidence: the root of its mean square over answers.
    pub standard_error: f64,
    /// Nothing is surer than this: of `n` answers that were all right the next is with a probability of `(n + 1) / (n + 2)`.
    pub most: f64,
    #[serde(skip)]
    temperature: f64,
    #[serde(skip)]
    curve: Curve,
}

/// Standard errors beyond which confidences are not told: of all answers, and of the worst tenth of them.
const ENOUGH: f64 = 0.01;
const ENOUGH_OF_TENTH: f64 = 0.015;
/// At which shares of the scores a curve may have its corners, and how many answers of the rarer kind, right or wrong, that takes. Of fewer
/// all answers are taken for alike.
const CURVES: [(&[f64], f64); 3] =
    [(&[0.01, 0.99], 20.0), (&[0.01, 0.33, 0.67, 0.99], 100.0), (&[0.01, 0.12, 0.3, 0.5, 0.75, 0.99], 400.0)];
/// Corners of a curve, at most.
const CORNERS: usize = 6;
/// Scores are cut off here: beyond it no set of images tells two of them apart.
const FARTHEST: f64 = 12.0;

/// Log-odds at scores, straight between them, and level beyond them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Curve {
    corners: usize,
    scores: [f64; CORNERS],
    odds: [f64; CORNERS],
}

/// Distances by class, and which of them was answered.
pub(super) type Distances<'a> = (&'a [(u32, f64, Option<usize>)], usize);

impl Confidence {
    /// From answers with the truth; or about how many would be enough, where these are too few. `each` says how many answers count as
    /// one because they are not independent of each other.
    pub(super) fn fit(asked: &[(Distances<'_>, u32)], each: f64) -> Result<Confidence, usize> {
        let n = asked.len() as f64;
        let right: Vec<bool> = asked.iter().map(|((list, said), truth)| list[*said].0 == *truth).collect();
        let (yes, temperature) = (right.iter().filter(|r| **r).count() as f64, temperature(asked));
        let scores: Vec<f64> = asked.iter().map(|(list, _)| score(*list, temperature)).collect();
        let rarer = yes.min(n - yes);
        let corners = CURVES.iter().rev().find(|(_, enough)| rarer >= *enough).map_or(&[][..], |c| c.0);
        let (curve, [variance, worst]) = Curve::fit(&scores, &right, corners);
        let standard_error = (variance * each).sqrt();
        // How many times too large a variance is.
        let over = each * (variance / (ENOUGH * ENOUGH)).max(worst / (ENOUGH_OF_TENTH * ENOUGH_OF_TENTH));
        if over > 1.0 {
            // A variance falls as one over the number, or as its square where no answer is wrong.
            let needed = if rarer == 0.0 { each.sqrt() / ENOUGH } else { n * over };
            return Err(needed.ceil() as usize);
        }
        Ok(Confidence { standard_error, most: (n + 1.0) / (n + 2.0), temperature, curve })
    }

    /// How sure an answer is, from 0 to 1.
    pub(super) fn of(&self, answer: Distances<'_>) -> f64 {
        probability(self.curve.at(score(answer, self.temperature))).min(self.most)
    }
}

fn probability(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

impl Curve {
    /// The likeliest curve with corners at these quantiles of the scores, and the mean square of the standard error of what it says:
    /// over all answers, and over the tenth where it is worst.
    fn fit(scores: &[f64], right: &[bool], quantiles: &[f64]) -> (Curve, [f64; 2]) {
        let n = scores.len() as f64;
        let yes = right.iter().filter(|r| **r).count() as f64;
        let all = (yes + 1.0) / (n + 2.0);
        let level = (all / (1.0 - all)).ln();
        let mut sorted = scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut at: Vec<f64> = quantiles.iter().map(|q| sorted[(q * (n - 1.0)).round() as usize]).collect();
        at.dedup();
        if at.len() < 2 {
            let curve = Curve { corners: 1, scores: [0.0; CORNERS], odds: [level; CORNERS] };
            return (curve, [all * (1.0 - all) / n.max(1.0); 2]);
        }
        let k = at.len();
        let mut curve = Curve { corners: k, scores: [0.0; CORNERS], odds: [level; CORNERS] };
        curve.scores[..k].copy_from_slice(&at);
        let rows: Vec<(usize, f64)> = scores.iter().map(|s| curve.place(*s)).collect();
        // Newton's method. A penalty on steps between corners, as small as a tenth of an answer, keeps them finite.
        let mut penalty = DMatrix::<f64>::identity(k, k) * 1e-6;
        for i in 1..k {
            penalty[(i, i)] += 0.05;
            penalty[(i - 1, i - 1)] += 0.05;
            penalty[(i - 1, i)] -= 0.05;
            penalty[(i, i - 1)] -= 0.05;
        }
        let mut odds = DVector::from_element(k, level);
        let curvature = |odds: &DVector<f64>| {
            let mut gradient = -&penalty * odds;
            let mut bend = penalty.clone();
            for ((i, part), right) in rows.iter().zip(right) {
                let p = probability(odds[*i] * (1.0 - part) + odds[i + 1] * part);
                let (off, weight) = (f64::from(u8::from(*right)) - p, p * (1.0 - p));
                for (a, b) in [(*i, 1.0 - part), (i + 1, *part)] {
                    gradient[a] += off * b;
                    for (c, d) in [(*i, 1.0 - part), (i + 1, *part)] {
                        bend[(a, c)] += weight * b * d;
                    }
                }
            }
            (gradient, bend)
        };
        for _ in 0..60 {
            let (gradient, bend) = curvature(&odds);
            let Some(step) = bend.cholesky().map(|c| c.solve(&gradient)) else { break };
            odds += step.map(|s| s.clamp(-2.0, 2.0));
            if step.amax() < 1e-9 {
                break;
            }
        }
        let (_, bend) = curvature(&odds);
        let variance = bend.try_inverse().map_or([f64::INFINITY; 2], |inverse| {
            let of = |(i, part): &(usize, f64)| {
                let p = probability(odds[*i] * (1.0 - part) + odds[i + 1] * part);
                let own = inverse[(*i, *i)] * (1.0 - part).powi(2)
                    + 2.0 * inverse[(*i, i + 1)] * part * (1.0 - part)
                    + inverse[(i + 1, i + 1)] * part * part;
                own * (p * (1.0 - p)).powi(2)
            };
            let mut each: Vec<(f64, f64)> = scores.iter().copied().zip(rows.iter().map(of)).collect();
            each.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mean = |list: &[(f64, f64)]| list.iter().map(|e| e.1).sum::<f64>() / list.len().max(1) as f64;
            [mean(&each), each.chunks(each.len().div_ceil(10)).map(mean).fold(0.0, f64::max)]
        });
        // It may fall: where a vote overrules the nearest image, a larger score is less often right.
        curve.odds[..k].copy_from_slice(odds.as_slice());
        (curve, variance)
    }

    /// Between which two corners a score lies, and how far along.
    fn place(&self, score: f64) -> (usize, f64) {
        let at = &self.scores[..self.corners];
        let i = at[1..at.len() - 1].partition_point(|s| *s <= score);
        (i, ((score - at[i]) / (at[i + 1] - at[i])).clamp(0.0, 1.0))
    }

    fn at(&self, score: f64) -> f64 {
        if self.corners < 2 {
            return self.odds[0];
        }
        let (i, part) = self.place(score);
        self.odds[i] * (1.0 - part) + self.odds[i + 1] * part
    }
}

/// The log-odds of what was said, by a softmax of negative squared distances.
fn score((list, said): Distances<'_>, temperature: f64) -> f64 {
    let others = list.iter().enumerate().filter(|(i, _)| *i != said).map(|(_, c)| c.1 * c.1);
    let least = others.clone().fold(f64::INFINITY, f64::min);
    if least == f64::INFINITY {
        return FARTHEST;
    }
    let sum: f64 = others.map(|d| (-(d - least) / temperature).exp()).sum();
    let score = (least - list[said].1.powi(2)) / temperature - sum.ln();
    if score.is_nan() { 0.0 } else { score.clamp(-FARTHEST, FARTHEST) }
}

/// The temperature by which the right classes are likeliest (Guo et al. 2017, <https://arxiv.org/abs/1706.04599>): golden-section search
/// over its logarithm.
fn temperature(asked: &[(Distances<'_>, u32)]) -> f64 {
    let nearest = |list: &[(u32, f64, Option<usize>)]| list.iter().map(|c| c.1).fold(f64::INFINITY, f64::min);
    let scale =
        asked.iter().map(|((list, _), _)| nearest(list).powi(2)).sum::<f64>() / asked.len().max(1) as f64;
    let scale = scale.max(1e-12);
    let cost = |log: f64| -> f64 {
        let t = scale * log.exp();
        let each = asked.iter().map(|((list, _), truth)| {
            let at = list.iter().position(|c| c.0 == *truth);
            // A class that is not among the neighbours has next to no probability.
            -at.map_or(1e-6, |at| probability(score((list, at), t))).max(1e-6).ln()
        });
        each.sum()
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-12.0, 12.0);
    for _ in 0..40 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if cost(a) <= cost(b) { high = b } else { low = a }
    }
    scale * ((low + high) / 2.0).exp()
}
