//! A loss and a miner of one's own: one small implementation each.
//!
//! cargo run --release -p alike --example own_loss_and_miner

use alike::distance::Distance;
use alike::loss::{Batch, LossReport, Reducer, Row, RowLoss, RowOut, evaluate_row_loss};
use alike::mining::{Candidates, Lists, Mine, Tuples, distances};
use alike::rng::{Purpose, Rng, RngExt, stream};
use alike_kernels::Tier;

/// The squared distance of positives, and a Gaussian hill around the anchor for negatives.
struct Hill {
    width: f64,
}

impl RowLoss for Hill {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let hill = |d: f64| (-(d / self.width).powi(2)).exp();
        let pulls: f64 = row.positives.iter().map(|p| row.d(*p).powi(2)).sum();
        let pushes: f64 = row.negatives.iter().map(|n| hill(row.d(*n))).sum();
        // An element of the loss; what comes back is the factor that its slopes are to be added with.
        let weight = out.element(0, pulls + pushes);
        row.positives.iter().for_each(|p| out.slope(*p, weight * 2.0 * row.d(*p)));
        for n in row.negatives {
            let d = row.d(*n);
            out.slope(*n, -weight * 2.0 * d / self.width.powi(2) * hill(d));
        }
    }
}

/// Every positive, and one random negative among the nearest three.
struct NearButNotAlways;

impl Mine for NearButNotAlways {
    fn mine(&self, batch: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        Tuples::Pairs {
            positives: Lists::build(batch.len(), |anchor, out| out.extend(batch.positives(anchor))),
            negatives: Lists::build(batch.len(), |anchor, out| {
                let mut nearest: Vec<u32> = batch.negatives(anchor).collect();
                nearest.sort_by(|a, b| batch.distance(anchor, *a).total_cmp(&batch.distance(anchor, *b)));
                nearest.truncate(3);
                if !nearest.is_empty() {
                    out.push(nearest[rng.random_range(0..nearest.len())]);
                }
            }),
        }
    }
}

fn main() {
    // Sixty points of four classes, moved by the loss alone, without a network.
    let (n, d) = (60, 8);
    let mut rng = stream(1, Purpose::Figure, 0, 0);
    let mut points: Vec<f32> = (0..n * d).map(|_| rng.random::<f32>() - 0.5).collect();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
    let tier = Tier::available()[0];
    for step in 0..=200 {
        let candidates = Candidates {
            labels: &labels,
            references: &labels,
            distances: distances(tier, Distance::Euclidean, &points, None, d),
            d,
            itself: (0..n).map(Some).collect(),
        };
        let tuples = NearButNotAlways.mine(&candidates, &mut rng);
        let batch = Batch { embeddings: &points, d, labels: &labels, references: None, tuples: &tuples };
        let mut gradient = vec![0.0; points.len()];
        let report: LossReport = evaluate_row_loss(
            &Hill { width: 0.5 },
            tier,
            Distance::Euclidean,
            &Reducer::Mean,
            &batch,
            &mut gradient,
        );
        points.iter_mut().zip(&gradient).for_each(|(x, g)| *x -= 0.2 * g);
        if step % 50 == 0 {
            println!(
                "step {step:3}: loss {:.4}, positives {:.3} apart, negatives {:.3}",
                report.loss, report.d_ap, report.d_an
            );
        }
    }
}
