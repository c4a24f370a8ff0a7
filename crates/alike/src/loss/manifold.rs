//! The manifold loss.

use super::whole::{Whole, WholeLoss, WholeOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Random walks over the graph of a batch and learned proxies, which should lead to an image's own proxy (Aziere and Todorovic
/// 2019,
/// <https://openaccess.thecvf.com/content_CVPR_2019/papers/Aziere_Ensemble_Deep_Manifold_Similarity_Learning_Using_Hard_Proxies_CVPR_2019_paper.pdf>).
///
/// Here each class has one proxy; the reference assigns images to proxies at random and takes no labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifold {
    /// The weight of the walks' context, beside where they end.
    pub lambda_c: f64,
    /// How much of a similarity is handed on.
    pub alpha: f64,
    /// Between the own proxy and others.
    pub margin: f64,
}

impl Default for Manifold {
    fn default() -> Manifold {
        Manifold { lambda_c: 1.0, alpha: 0.8, margin: 5e-4 }
    }
}

impl LossFunction for Manifold {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: Some(1),
            tuples: false,
            memory: false,
            views: false,
            keeps_distances: true,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("lambda-c", self.lambda_c),
            Parameter::positive_below("alpha", self.alpha, 1.0),
            Parameter::finite("margin", self.margin),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        let images = evaluation.batch.len();
        evaluation.whole_with_proxies(&OverProxies { loss: *self, images })
    }
}

/// The loss over images, then proxies, one per class: all of them are anchors, and distances are cosine distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct OverProxies {
    pub(super) loss: Manifold,
    /// How many of the batch are images.
    pub(super) images: usize,
}

impl OverProxies {
    /// The mean over images of `log(1 + sum exp(v))`, `v = x[i][k] - x[i][own] + margin` where that is not below zero; its
    /// gradient by `x`, times `weight`, is added.
    fn hinge(&self, x: &DMatrix<f64>, own: &[u32], weight: f64, gradient: &mut DMatrix<f64>) -> f64 {
        let mut value = 0.0;
        for (i, own) in own.iter().map(|o| *o as usize).enumerate() {
            let v = |k: usize| x[(i, k)] - x[(i, own)] + self.loss.margin;
            let open: Vec<usize> = (0..x.ncols()).filter(|k| *k != own && v(*k) >= 0.0).collect();
            let sum = 1.0 + open.iter().map(|k| v(*k).exp()).sum::<f64>();
            value += sum.ln() / own_count(x);
            for k in open {
                let g = weight * v(k).exp() / sum / own_count(x);
                gradient[(i, k)] += g;
                gradient[(i, own)] -= g;
            }
        }
        value
    }
}

fn own_count(x: &DMatrix<f64>) -> f64 {
    x.nrows() as f64
}

impl WholeLoss for OverProxies {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let Manifold { lambda_c, alpha, .. } = self.loss;
        let (n, size) = (self.images, all.m);
        let own = &all.batch.labels[..n];
        let cos = |i: usize, j: usize| (1.0 - all.d(i, j)).max(0.0);
        let s = DMatrix::from_fn(size, size, |i, j| if i == j { 0.0 } else { (2.0 * cos(i, j)).exp() });
        let degree: Vec<f64> = (0..size).map(|i| s.row(i).sum()).collect();
        let root: Vec<f64> = degree.iter().map(|d| 1.0 / d.sqrt()).collect();
        let walk = DMatrix::from_fn(size, size, |i, j| {
            f64::from(u8::from(i == j)) - alpha * s[(i, j)] * root[i] * root[j]
        });
        // Similarities of a walk are below one, so what is inverted is never singular.
        let Some(inverse) = walk.try_inverse() else { return };
        let f = &inverse * (1.0 - alpha);
        let mut by_f = DMatrix::zeros(size, size);
        let intrinsic = {
            let ends = f.view((0, n), (n, size - n)).into_owned();
            let mut g = DMatrix::zeros(n, size - n);
            let value = self.hinge(&ends, own, 1.0, &mut g);
            by_f.view_mut((0, n), (n, size - n)).copy_from(&g);
            value
        };
        // Cosines of an image's walks and a proxy's.
        let lengths: Vec<f64> = (0..size).map(|i| f.row(i).norm()).collect();
        let context =
            DMatrix::from_fn(n, size - n, |i, k| f.row(i).dot(&f.row(n + k)) / (lengths[i] * lengths[n + k]));
        let mut g = DMatrix::zeros(n, size - n);
        let value = intrinsic + lambda_c * self.hinge(&context, own, lambda_c, &mut g);
        for i in 0..n {
            for k in 0..size - n {
                let (g, c, p) = (g[(i, k)], context[(i, k)], n + k);
                if g != 0.0 {
                    for j in 0..size {
                        let (a, b) = (f[(i, j)] / lengths[i], f[(p, j)] / lengths[p]);
                        by_f[(i, j)] += g * (b - c * a) / lengths[i];
                        by_f[(p, j)] += g * (a - c * b) / lengths[p];
                    }
                }
            }
        }
        let weight = out.element(0, value, 0, 1);
        let turned = inverse.transpose();
        let by_walk = &turned * (by_f * (1.0 - alpha)) * &turned * alpha;
        let by_root: Vec<f64> = (0..size)
            .map(|i| {
                (0..size).map(|j| (by_walk[(i, j)] * s[(i, j)] + by_walk[(j, i)] * s[(j, i)]) * root[j]).sum()
            })
            .collect();
        for i in 0..size {
            let by_degree = by_root[i] * -0.5 * root[i] / degree[i];
            for j in (0..size).filter(|j| *j != i && cos(i, *j) > 0.0) {
                let by_s = by_walk[(i, j)] * root[i] * root[j] + by_degree;
                out.add_gradient(i, j, -weight * by_s * 2.0 * s[(i, j)]);
            }
        }
    }
}
