//! Between what a share lies, given how much was counted. However good it is, its interval is never one point.
//!
//! A share of answers that are right or wrong, each by itself, has the interval of Agresti and Coull 1998 ("Approximate is better than
//! 'exact' for interval estimation of binomial proportions"): Wilson's, widened where Wilson's is too narrow (of 100 answers, 99 % of
//! which are right in truth, Wilson's holds 92 times in 100 and this one 98 times; at no share and number less than 93 times).
//!
//! What is not right or wrong, or comes in groups that are not independent within, counts as so many answers as would make a share vary
//! as much as it does: its effective sample size (Kish 1965; Korn and Graubard 1998). How much it varies is not known where nearly all
//! is right; a little of the most that it can vary is therefore mixed in, so that the size falls to the number of groups where all is
//! right. `cargo bench -p alike --bench coverage` measures what these intervals hold.

use serde::Serialize;

/// The 97.5 % quantile of a normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// How much of the most that it can vary is mixed into how much a measure varies: as much as a tenth of a group says.
const MIXED: f64 = 0.1;

/// Between what the share lies that `right` of `of` independent answers come to: 95 %, by Agresti and Coull.
pub fn share_interval(right: f64, of: f64) -> [f64; 2] {
    let n = of + Z * Z;
    let middle = (right + Z * Z / 2.0) / n;
    let half = Z * (middle * (1.0 - middle) / n).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// Between what a mean of values from 0 to 1 lies. They come in groups, each a sum and a count; other groups are what another sample
/// would have.
pub fn mean_interval(groups: &[(f64, f64)]) -> [f64; 2] {
    // In an order of their own, so that theirs changes no bit.
    let mut groups = groups.to_vec();
    groups.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (sum, count) = groups.iter().fold((0.0, 0.0), |a, g| (a.0 + g.0, a.1 + g.1));
    if count == 0.0 {
        return [0.0, 1.0];
    }
    if groups.iter().all(|g| g.1 == 1.0 && (g.0 == 0.0 || g.0 == 1.0)) {
        return share_interval(sum, count);
    }
    let mean = sum / count;
    let shares: f64 = groups.iter().map(|g| (g.1 / count).powi(2)).sum();
    let squares: f64 = groups.iter().map(|g| ((g.0 - mean * g.1) / count).powi(2)).sum();
    let k = groups.len() as f64;
    bounded(mean, squares * k / (k - 1.0).max(1.0), 1.0 / shares)
}

/// Between what a number from 0 to 1 lies that came to `value`, and to `draws` when `units` of whatever is independent were drawn anew.
/// A number that can be below 0 has the draws' own percentiles.
pub fn bootstrap_interval(value: f64, draws: &[f64], units: f64) -> [f64; 2] {
    if !(0.0..=1.0).contains(&value) || draws.iter().any(|d| *d < 0.0) {
        return super::percentiles(draws.to_vec());
    }
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n.max(1.0);
    let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    bounded(value, variance, units)
}

/// The interval of a number from 0 to 1 that varies as much as `variance` says and was found on so many independent units.
fn bounded(value: f64, variance: f64, units: f64) -> [f64; 2] {
    let units = units.max(1.0);
    // Of units that are wholly right or wrong, which vary most.
    let most = units * value * (1.0 - value);
    let ratio = (units * units * variance + MIXED) / (most + MIXED);
    let effective = units / ratio * (Z / t(units - 1.0)).powi(2);
    let [low, high] = share_interval(value * effective, effective);
    [low.min(value), high.max(value)]
}

/// The mean of a few values, such as those of runs that differ in their seed, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with n - 1; 0 for one value.
    pub deviation: f64,
    /// 95 % interval of the mean, by Student's t distribution; from 0 to 1, as all measures are.
    pub interval: [f64; 2],
    /// How many values.
    pub count: usize,
}

impl Spread {
    /// The spread of values from 0 to 1.
    pub fn of(values: &[f64]) -> Spread {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        if values.len() < 2 {
            return Spread { mean, deviation: 0.0, interval: [0.0, 1.0], count: values.len() };
        }
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let half = t(n - 1.0) * deviation / n.sqrt();
        Spread {
            mean,
            deviation,
            interval: [(mean - half).max(0.0), (mean + half).min(1.0)],
            count: values.len(),
        }
    }
}

/// The 97.5 % quantile of Student's distribution.
pub(super) fn t(freedom: f64) -> f64 {
    const FEW: [f64; 6] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469];
    if freedom < FEW.len() as f64 {
        // Between two whole numbers of degrees, one over them counts.
        let at = freedom.max(1.0);
        let (i, j) = (at.floor() as usize, (at.ceil() as usize).min(FEW.len()));
        let between =
            if i == j { 0.0 } else { (1.0 / i as f64 - 1.0 / at) / (1.0 / i as f64 - 1.0 / j as f64) };
        return FEW[i - 1] + between * (FEW[j - 1] - FEW[i - 1]);
    }
    // Cornish and Fisher's expansion.
    let (z, v) = (Z, freedom);
    z + (z.powi(3) + z) / (4.0 * v)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * v.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng, RngExt, stream};

    #[track_caller]
    fn close(ours: f64, theirs: f64, by: f64) {
        assert!((ours - theirs).abs() < by, "{ours} {theirs}");
    }

    /// `statsmodels.stats.proportion.proportion_confint(right, of, method="agresti_coull")`.
    #[test]
    fn shares_have_the_interval_of_agresti_and_coull() {
        for (right, of, low, high) in [
            (0.0, 10.0, 0.0, 0.3208873057505458),
            (30.0, 30.0, 0.8652883038603735, 1.0),
            (29.0, 30.0, 0.8190820154673888, 1.0),
            (99.0, 100.0, 0.9400731381181496, 1.0),
            (512.0, 1000.0, 0.4810325204382188, 0.5428756373581277),
            (9990.0, 10000.0, 0.9981323426301553, 0.9994844269959094),
        ] {
            let [l, h] = share_interval(right, of);
            close(l, low, 1e-9);
            close(h, high, 1e-9);
        }
        let [low, high] = share_interval(100.0, 100.0);
        assert!(low > 0.95 && low < 0.97 && high == 1.0);
    }

    /// `scipy.stats.t.ppf(0.975, freedom)`.
    #[test]
    fn quantiles_of_student_are_scipys() {
        for (v, theirs) in [
            (1.0, 12.706204736432095),
            (3.0, 3.182446305284263),
            (6.0, 2.4469118511449692),
            (7.0, 2.3646242510102993),
            (19.0, 2.093024054408263),
            (29.0, 2.045229642132703),
            (999.0, 1.9623414611334487),
        ] {
            close(t(v), theirs, 1.5e-3);
        }
        assert!(t(1.5) > t(2.0) && t(0.0) == t(1.0));
    }

    /// `numpy.std([0.90, 0.92, 0.97], ddof=1)` and `scipy.stats.t.interval(0.95, 2, mean, sem)`.
    #[test]
    fn a_few_values_spread_as_scipy_says() {
        let s = Spread::of(&[0.90, 0.92, 0.97]);
        close(s.mean, 0.93, 1e-12);
        close(s.deviation, 0.036_055_512_754_639_89, 1e-12);
        close(s.interval[0], 0.840_433_5, 1e-4);
        assert_eq!((s.interval[1], s.count), (1.0, 3), "no measure is above 1");
        assert_eq!(Spread::of(&[0.5]).interval, [0.0, 1.0], "one value says nothing of others");
    }

    #[test]
    fn what_is_all_right_has_room_below() {
        let all = |n: usize, each: f64| mean_interval(&vec![(each, each); n]);
        // Twenty people of whom all answers are right say as much as twenty answers.
        let people = all(20, 10.0);
        assert_eq!(people[1], 1.0);
        assert!(people[0] > 0.75 && people[0] < share_interval(20.0, 20.0)[0] + 1e-12, "{people:?}");
        assert!(all(100, 10.0)[0] > people[0] && all(100, 1.0)[0] < 0.97);
        assert_eq!(mean_interval(&[]), [0.0, 1.0]);
        let one = mean_interval(&[(4.0, 4.0)]);
        assert!(one[0] < 0.2, "one class says next to nothing of others: {one:?}");
        // One answer of two hundred wrong tells that the answers of a class differ: surer, but by little.
        let mut groups = vec![(10.0, 10.0); 20];
        groups[3].0 = 9.0;
        assert!(mean_interval(&groups)[0] < people[0] + 0.1);
        let drawn = bootstrap_interval(1.0, &[1.0; 200], 50.0);
        assert!(drawn[0] > 0.9 && drawn[0] < 0.95 && drawn[1] == 1.0, "{drawn:?}");
        let negative = bootstrap_interval(-0.01, &[-0.02, 0.0, 0.01], 50.0);
        assert_eq!(negative, [-0.02, 0.01]);
    }

    #[test]
    fn a_mean_of_many_values_has_the_usual_interval() {
        // 400 values of mean 0.5 and variance 1/12: a standard error of 0.01443.
        let values: Vec<(f64, f64)> = (0..400).map(|i| ((f64::from(i) + 0.5) / 400.0, 1.0)).collect();
        let [low, high] = mean_interval(&values);
        close(high - low, 2.0 * 1.966 * 0.01443, 1e-3);
        close((low + high) / 2.0, 0.5, 1e-9);
    }

    /// How often intervals hold a share, by simulation; the bench `coverage` does this at length.
    fn holds(times: u32, truth: f64, mut draw: impl FnMut(&mut Rng) -> [f64; 2]) -> f64 {
        let mut rng = stream(3, Purpose::Bootstrap, 0, 9);
        let held = (0..times).map(|_| draw(&mut rng)).filter(|[low, high]| *low <= truth && truth <= *high);
        held.count() as f64 / f64::from(times)
    }

    #[test]
    fn intervals_hold_what_they_promise() {
        for p in [0.5, 0.9, 0.99] {
            for n in [30, 100, 1000] {
                let right = |rng: &mut Rng| (0..n).filter(|_| rng.random::<f64>() < p).count() as f64;
                let held = holds(2000, p, |rng| share_interval(right(rng), f64::from(n)));
                assert!(held >= 0.92, "{n} answers, {p}: {held}");
            }
            // Classes that are wholly right or wrong, and classes that are alike.
            for alike in [false, true] {
                let class = |rng: &mut Rng| {
                    let sure = f64::from(u8::from(rng.random::<f64>() < p));
                    let own = if alike { p } else { sure };
                    ((0..10).filter(|_| rng.random::<f64>() < own).count() as f64, 10.0)
                };
                let held =
                    holds(1000, p, |rng| mean_interval(&(0..40).map(|_| class(rng)).collect::<Vec<_>>()));
                assert!(held >= 0.925, "{p} {alike}: {held}");
            }
        }
    }
}
