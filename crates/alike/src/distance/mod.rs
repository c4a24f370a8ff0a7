//! How far apart two embeddings are. Smaller is nearer, always.

mod matrix;

pub(crate) use matrix::{Block, Matrix, Side};

use serde::{Deserialize, Serialize};

/// What a loss or a miner measures by. A similarity of the literature is a distance here: `1 - cos`, and `-a . b`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Distance {
    /// `|a - b|`. Between two vectors it is `|a - b + 1e-6|`, the constant added to every coordinate, as PyTorch's
    /// `TripletMarginLoss` does.
    #[default]
    Euclidean,
    /// `|a - b|^2`.
    SquaredEuclidean,
    /// `|a/|a| - b/|b||`, from 0 to 2: the reference library's `LpDistance()`. A zero vector has no direction and is at distance
    /// 1 from all that have one.
    Chord,
    /// The chord's square: `2 (1 - cos(a, b))` of vectors that are not zero.
    SquaredChord,
    /// `1 - cos(a, b)`; a zero vector is at distance 1 from all.
    Cosine,
    /// `-a . b`.
    Dot,
    /// `var(a - b) / var(a)`, variances over coordinates: noise to signal, of vectors scaled to length 1 as the reference
    /// library does. Not symmetric: `a` is the anchor (Yuan et al. 2019, <https://arxiv.org/abs/1904.02616>). The variance of an
    /// anchor counts as no less than 1e-8: one without any has no signal.
    Snr,
    /// `sum |a - b|^p` to the power `1/p`, `p` at least 1.
    Lp(f64),
}

/// PyTorch's `pairwise_distance` adds this to every coordinate's difference.
const EUCLIDEAN_EPS: f32 = 1e-6;
/// A cosine is taken over norms of at least this, as in PyTorch's `cosine_similarity`.
pub(crate) const COSINE_EPS: f64 = 1e-8;
/// An anchor's signal is at least this.
const SIGNAL_EPS: f64 = 1e-8;

impl Distance {
    /// Those with a name of their own.
    pub const NAMED: [(&'static str, Distance); 8] = [
        ("euclidean", Distance::Euclidean),
        ("squared-euclidean", Distance::SquaredEuclidean),
        ("chord", Distance::Chord),
        ("squared-chord", Distance::SquaredChord),
        ("cosine", Distance::Cosine),
        ("dot", Distance::Dot),
        ("snr", Distance::Snr),
        ("manhattan", Distance::Lp(1.0)),
    ];

    /// Whether only a vector's direction matters.
    pub fn of_directions(self) -> bool {
        matches!(self, Distance::Chord | Distance::SquaredChord | Distance::Cosine | Distance::Snr)
    }

    /// The distance of two vectors of equal length.
    pub fn between(self, a: &[f32], b: &[f32]) -> f64 {
        match self {
            Distance::Euclidean => square_sum(a, b, EUCLIDEAN_EPS).sqrt(),
            Distance::SquaredEuclidean => square_sum(a, b, 0.0),
            Distance::Cosine => {
                let cos = cosine(a, b).0;
                // One less what is nearly one is half a square, of which nothing is lost.
                if cos > 0.9 { chord_square(a, b) / 2.0 } else { 1.0 - cos }
            }
            Distance::SquaredChord => chord_square(a, b),
            Distance::Chord => chord_square(a, b).sqrt(),
            Distance::Dot => -dot(a, b),
            Distance::Snr => {
                let ((a, _), (b, _)) = (direction(a), direction(b));
                variance(a.iter().zip(&b).map(|(x, y)| x - y)) / variance(a.iter().copied()).max(SIGNAL_EPS)
            }
            Distance::Lp(p) => {
                let sum = differences(a, b).map(|d| d.abs().powf(p)).sum::<f64>();
                if sum.is_normal() {
                    return sum.powf(1.0 / p);
                }
                // Powers that leave the numbers stay among them as shares of the largest.
                let most = differences(a, b).map(f64::abs).fold(0.0, f64::max);
                if most == 0.0 || !most.is_finite() {
                    return sum.powf(1.0 / p);
                }
                most * differences(a, b).map(|d| (d.abs() / most).powf(p)).sum::<f64>().powf(1.0 / p)
            }
        }
    }

    /// Adds `weight` times the distance's gradient to `da` and `db`.
    pub fn add_gradient(self, a: &[f32], b: &[f32], weight: f64, da: &mut [f32], db: &mut [f32]) {
        match self {
            Distance::Euclidean | Distance::SquaredEuclidean => {
                let (eps, factor) = if self == Distance::Euclidean {
                    // At distance zero the gradient is taken as zero, a valid subgradient.
                    let d = square_sum(a, b, EUCLIDEAN_EPS).sqrt();
                    (EUCLIDEAN_EPS, if d > 0.0 { weight / d } else { 0.0 })
                } else {
                    (0.0, 2.0 * weight)
                };
                for ((x, y), (dx, dy)) in a.iter().zip(b).zip(da.iter_mut().zip(db)) {
                    let g = (f64::from(x - y + eps) * factor) as f32;
                    *dx += g;
                    *dy -= g;
                }
            }
            Distance::Chord => {
                let d = self.between(a, b);
                let derivative = if d > 0.0 { weight / d } else { 0.0 };
                Distance::Cosine.add_gradient(a, b, derivative, da, db);
            }
            Distance::SquaredChord => Distance::Cosine.add_gradient(a, b, 2.0 * weight, da, db),
            Distance::Cosine => {
                let (cos, na, nb) = cosine(a, b);
                let scale = 1.0 / (na.max(COSINE_EPS) * nb.max(COSINE_EPS));
                // Below the floor a norm is a constant, and its part of the gradient vanishes.
                let pull = |n: f64| if n > COSINE_EPS { cos / (n * n) } else { 0.0 };
                for ((x, y), (dx, dy)) in a.iter().zip(b).zip(da.iter_mut().zip(db)) {
                    let (x, y) = (f64::from(*x), f64::from(*y));
                    *dx -= (weight * (y * scale - x * pull(na))) as f32;
                    *dy -= (weight * (x * scale - y * pull(nb))) as f32;
                }
            }
            Distance::Dot => {
                for ((x, y), (dx, dy)) in a.iter().zip(b).zip(da.iter_mut().zip(db)) {
                    *dx -= (weight * f64::from(*y)) as f32;
                    *dy -= (weight * f64::from(*x)) as f32;
                }
            }
            Distance::Snr => {
                let ((u, na), (v, nb)) = (direction(a), direction(b));
                let n = u.len() as f64;
                let mean = u.iter().sum::<f64>() / n;
                let gap = mean - v.iter().sum::<f64>() / n;
                let signal = variance(u.iter().copied());
                // Below the floor the signal is a constant.
                let own = if signal > SIGNAL_EPS { 1.0 } else { 0.0 };
                let signal = signal.max(SIGNAL_EPS);
                let d = variance(u.iter().zip(&v).map(|(x, y)| x - y)) / signal;
                let factor = 2.0 * weight / ((n - 1.0) * signal);
                let noise = |k: usize| u[k] - v[k] - gap;
                // Gradients by directions, which move only across themselves.
                let across = |g: &dyn Fn(usize) -> f64, u: &[f64], length: f64, into: &mut [f32]| {
                    let along: f64 = u.iter().enumerate().map(|(k, u)| u * g(k)).sum();
                    for (k, to) in into.iter_mut().enumerate() {
                        *to += ((g(k) - along * u[k]) / length) as f32;
                    }
                };
                across(&|k| factor * (noise(k) - own * d * (u[k] - mean)), &u, na, da);
                across(&|k| -factor * noise(k), &v, nb, db);
            }
            Distance::Lp(p) => {
                let d = self.between(a, b);
                if d == 0.0 {
                    return;
                }
                for ((x, y), (dx, dy)) in a.iter().zip(b).zip(da.iter_mut().zip(db)) {
                    let difference = f64::from(*x) - f64::from(*y);
                    let g = weight * difference.signum() * (difference.abs() / d).powf(p - 1.0);
                    if difference != 0.0 {
                        *dx += g as f32;
                        *dy -= g as f32;
                    }
                }
            }
        }
    }
}

impl std::fmt::Display for Distance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (Distance::NAMED.iter().find(|(_, d)| d == self), self) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Distance::Lp(p)) => write!(f, "lp:{p}"),
            (None, _) => unreachable!("every other distance is named"),
        }
    }
}

impl std::str::FromStr for Distance {
    type Err = String;

    fn from_str(text: &str) -> Result<Distance, String> {
        if let Some((_, distance)) = Distance::NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(*distance);
        }
        if let Some(p) = text.strip_prefix("lp:") {
            return match p.parse::<f64>() {
                Ok(p) if (1.0..=1e3).contains(&p) => Ok(Distance::Lp(p)),
                _ => Err(format!("'{text}': the power of lp is a number from 1 to 1000, as in lp:3")),
            };
        }
        let names = Distance::NAMED.map(|(name, _)| name);
        let hint = crate::suggest::did_you_mean(text, names);
        Err(format!("there is no distance '{text}'{hint} (there are: {}, lp:P)", names.join(", ")))
    }
}

#[cfg(feature = "schema")]
crate::text::text_schema!(Distance);

impl Serialize for Distance {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Distance {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Distance, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

fn differences<'a>(a: &'a [f32], b: &'a [f32]) -> impl ExactSizeIterator<Item = f64> + Clone + 'a {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) - f64::from(*y))
}

/// The square of the difference of two directions.
fn chord_square(a: &[f32], b: &[f32]) -> f64 {
    let (na, nb) = (dot(a, a).sqrt().max(COSINE_EPS), dot(b, b).sqrt().max(COSINE_EPS));
    a.iter().zip(b).map(|(x, y)| (f64::from(*x) / na - f64::from(*y) / nb).powi(2)).sum()
}

/// A vector's direction, and its length.
fn direction(a: &[f32]) -> (Vec<f64>, f64) {
    let length = dot(a, a).sqrt().max(COSINE_EPS);
    (a.iter().map(|x| f64::from(*x) / length).collect(), length)
}

/// With `n - 1` for a divisor.
fn variance(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let n = values.len() as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

fn square_sum(a: &[f32], b: &[f32], eps: f32) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(x - y + eps).powi(2)).sum()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The cosine, and both norms.
fn cosine(a: &[f32], b: &[f32]) -> (f64, f64, f64) {
    let (na, nb) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    (dot(a, b) / (na.max(COSINE_EPS) * nb.max(COSINE_EPS)), na, nb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_finite_differences() {
        let a: Vec<f32> = (0..7).map(|i| (i as f32 * 1.7).sin()).collect();
        let b: Vec<f32> = (0..7).map(|i| (i as f32 * 0.9).cos()).collect();
        for distance in Distance::NAMED.map(|(_, d)| d).into_iter().chain([Distance::Lp(3.0)]) {
            let (mut da, mut db) = (vec![0.0; 7], vec![0.0; 7]);
            distance.add_gradient(&a, &b, 1.5, &mut da, &mut db);
            for i in 0..7 {
                let e = 1.0 / 512.0;
                let moved = |side: usize, e: f32| {
                    let (mut a, mut b) = (a.clone(), b.clone());
                    if side == 0 {
                        a[i] += e;
                    } else {
                        b[i] += e;
                    }
                    1.5 * distance.between(&a, &b)
                };
                for (side, analytic) in [(0, da[i]), (1, db[i])] {
                    let numeric = (moved(side, e) - moved(side, -e)) / f64::from(2.0 * e);
                    assert!(
                        (numeric - f64::from(analytic)).abs() < 2e-4 * numeric.abs().max(1.0),
                        "{distance:?}: {numeric} {analytic}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_zero_vector_has_finite_distances_and_gradients() {
        let (a, b) = ([0.0f32; 3], [0.0, 1.0, 0.0]);
        for distance in Distance::NAMED.map(|(_, d)| d) {
            for other in [a, b] {
                let (mut da, mut db) = ([0.0; 3], [0.0; 3]);
                distance.add_gradient(&a, &other, 1.0, &mut da, &mut db);
                assert!(distance.between(&a, &other).is_finite());
                assert!(da.iter().chain(&db).all(|v| v.is_finite()), "{distance:?}");
            }
        }
    }

    #[test]
    fn a_zero_vector_is_at_distance_one_from_every_direction() {
        let (zero, unit, long) = ([0.0f32; 3], [0.0, 1.0, 0.0], [3e4f32, 4e4, 0.0]);
        for distance in [Distance::Chord, Distance::SquaredChord, Distance::Cosine] {
            for other in [unit, long] {
                let (one, two) = (distance.between(&zero, &other), distance.between(&other, &zero));
                assert!((one - 1.0).abs() < 1e-12 && (two - 1.0).abs() < 1e-12, "{distance}: {one} {two}");
            }
        }
        assert_eq!(Distance::Chord.between(&zero, &zero), 0.0);
    }

    /// Powers that overflow or vanish are taken of shares.
    #[test]
    fn high_powers_stay_among_the_numbers() {
        for scale in [1e-4f32, 1.0, 1e4, 1e30] {
            let (a, b) = ([scale, 2.0 * scale, 0.0], [0.0, -scale, 0.0]);
            let far = Distance::Lp(1000.0).between(&a, &b);
            assert!((far / f64::from(3.0 * scale) - 1.0).abs() < 1e-6, "{scale}: {far}");
        }
    }

    #[test]
    fn a_distance_is_written_as_it_is_read() {
        for distance in Distance::NAMED.map(|(_, d)| d).into_iter().chain([Distance::Lp(2.5)]) {
            assert_eq!(distance.to_string().parse::<Distance>().unwrap(), distance);
        }
        assert!("cosin".parse::<Distance>().unwrap_err().contains("did you mean 'cosine'"));
        assert!("lp:0.5".parse::<Distance>().unwrap_err().contains("from 1 to 1000"));
    }
}
