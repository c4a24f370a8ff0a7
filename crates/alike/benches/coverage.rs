//! What intervals, thresholds and confidences hold of what they promise, by simulation: tables for `bench/RESULTS.md`.

use alike::eval::{
    AnomalyMethod, Classifier, Detection, Detector, Independent, Pairs, Reference, Rule, alarm_threshold,
    bootstrap_interval, compare_groups, difference, mean_interval, percentiles, share_interval,
};
use alike::identity::Identities;
use alike::images::{Features, Vectors};
use alike::rng::{Purpose, Rng, RngExt, stream};
use rayon::prelude::*;

/// A stream of random numbers for simulation `i` of a table.
fn numbers(table: u64, i: u64) -> Rng {
    stream(table, Purpose::Bootstrap, i, 77)
}

fn normal(rng: &mut Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The share of simulations whose interval holds the truth, and the mean width.
fn holds(table: u64, times: u64, truth: f64, draw: impl Fn(&mut Rng) -> [f64; 2] + Sync) -> String {
    let all: Vec<(bool, f64)> = (0..times)
        .into_par_iter()
        .map(|i| {
            let [low, high] = draw(&mut numbers(table, i));
            (low <= truth && truth <= high, high - low)
        })
        .collect();
    let held = all.iter().filter(|a| a.0).count() as f64 / times as f64;
    format!("{:.1} % ({:.3})", 100.0 * held, all.iter().map(|a| a.1).sum::<f64>() / times as f64)
}

/// What a mean comes to when values are drawn with replacement: what was done before.
fn drawn(groups: &[(f64, f64)], rng: &mut Rng) -> [f64; 2] {
    let mean = |_| {
        let some = (0..groups.len()).map(|_| groups[rng.random_range(0..groups.len())]);
        let (sum, n) = some.fold((0.0, 0.0), |a, g| (a.0 + g.0, a.1 + g.1));
        sum / n
    };
    percentiles((0..500).map(mean).collect())
}

fn shares() {
    println!(
        "\n| answers | right in truth | interval holds (width) | bootstrap percentiles |\n|---|---|---|---|"
    );
    for n in [30, 100, 1000] {
        for p in [0.5, 0.9, 0.99] {
            let right = |rng: &mut Rng| -> Vec<(f64, f64)> {
                (0..n).map(|_| (f64::from(u8::from(rng.random::<f64>() < p)), 1.0)).collect()
            };
            let ours =
                holds(1, 10_000, p, |rng| share_interval(right(rng).iter().map(|g| g.0).sum(), f64::from(n)));
            let before = holds(1, 1000, p, |rng| drawn(&right(rng), rng));
            println!("| {n} | {p} | {ours} | {before} |");
        }
    }
}

/// A share between 0 and 1 with this mean, whose variance is `rho` times the most there is: wholly 0 or 1 in so many cases.
fn share_of(mean: f64, rho: f64, rng: &mut Rng) -> f64 {
    if rng.random::<f64>() < rho { f64::from(u8::from(rng.random::<f64>() < mean)) } else { mean }
}

fn classes() {
    println!(
        "\n| classes x queries | right in truth | all classes alike | somewhat | wholly right or wrong | bootstrap of the latter |"
    );
    println!("|---|---|---|---|---|---|");
    for (k, m) in [(10, 10), (20, 10), (40, 5), (100, 10)] {
        for p in [0.5, 0.9, 0.99] {
            let draw = |rho: f64, rng: &mut Rng| -> Vec<(f64, f64)> {
                (0..k)
                    .map(|_| {
                        let own = share_of(p, rho, rng);
                        ((0..m).filter(|_| rng.random::<f64>() < own).count() as f64, f64::from(m))
                    })
                    .collect()
            };
            let ours = [0.0, 0.2, 1.0].map(|rho| holds(2, 5000, p, |rng| mean_interval(&draw(rho, rng))));
            let before = holds(2, 1000, p, |rng| drawn(&draw(1.0, rng), rng));
            println!("| {k} x {m} | {p} | {} | {before} |", ours.join(" | "));
        }
    }
}

fn values() {
    println!("\n| queries | values | interval holds (width) | bootstrap percentiles |\n|---|---|---|---|");
    type Value = fn(&mut Rng) -> f64;
    let kinds: [(&str, f64, Value); 3] =
        [
            ("evenly from 0 to 1", 0.5, |rng| rng.random()),
            ("1 in four of five, else evenly", 0.9, |rng| {
                if rng.random::<f64>() < 0.8 { 1.0 } else { rng.random() }
            }),
            ("1 in 98 of 100, else evenly", 0.99, |rng| {
                if rng.random::<f64>() < 0.98 { 1.0 } else { rng.random() }
            }),
        ];
    for n in [30, 100, 1000] {
        for (name, mean, value) in kinds {
            let draw = |rng: &mut Rng| -> Vec<(f64, f64)> { (0..n).map(|_| (value(rng), 1.0)).collect() };
            let ours = holds(3, 5000, mean, |rng| mean_interval(&draw(rng)));
            let before = holds(3, 1000, mean, |rng| drawn(&draw(rng), rng));
            println!("| {n} | {name} | {ours} | {before} |");
        }
    }
}

fn differences() {
    println!(
        "\n| queries | differ in truth | interval of the difference holds | called real where nothing is: McNemar | in classes of ten, McNemar | in classes of ten, by class |"
    );
    println!("|---|---|---|---|---|---|");
    for n in [30usize, 100, 1000] {
        for (first, second) in [(0.1, 0.1), (0.02, 0.06), (0.005, 0.005)] {
            let each: Vec<u32> = (0..n as u32).collect();
            let tens: Vec<u32> = (0..n as u32).map(|i| i / 10).collect();
            let values = |rng: &mut Rng| -> (Vec<f64>, Vec<f64>) {
                let two = |_| match rng.random::<f64>() {
                    u if u < first => (1.0, 0.0),
                    u if u < first + second => (0.0, 1.0),
                    _ => (1.0, 1.0),
                };
                (0..n).map(two).unzip()
            };
            let held = holds(4, 600, second - first, |rng| {
                let (a, b) = values(rng);
                difference(&a, &b, &each, 0).interval
            });
            // In a fifth of the classes one of the two is better throughout, either as often.
            let real = |whole: bool, by_class: bool| -> f64 {
                let real = (0..2000u64).into_par_iter().filter(|i| {
                    let mut rng = numbers(5, *i);
                    let mut class = (0.0, 0.0);
                    let (mut a, mut b) = (vec![true; n], vec![true; n]);
                    for q in 0..n {
                        if q % 10 == 0 || !whole {
                            let u: f64 = rng.random();
                            class =
                                (f64::from(u8::from(u < 0.1)), f64::from(u8::from((0.1..0.2).contains(&u))));
                        }
                        (a[q], b[q]) = (class.0 == 0.0, class.1 == 0.0);
                    }
                    let groups = if by_class { &tens } else { &each };
                    compare_groups(&a, &b, groups).p_value < 0.05
                });
                100.0 * real.count() as f64 / 2000.0
            };
            if first == second && first > 0.05 {
                println!(
                    "| {n} | {first} and {second} | {held} | {:.1} % | {:.1} % | {:.1} % |",
                    real(false, false),
                    real(true, false),
                    real(true, true)
                );
            } else {
                println!("| {n} | {first} and {second} | {held} | | | |");
            }
        }
    }
}

/// Images of classes that are normal clouds about normal centres.
struct World {
    d: usize,
    apart: f64,
}

impl World {
    fn centres(&self, classes: usize, rng: &mut Rng) -> Vec<f64> {
        (0..classes * self.d).map(|_| self.apart * normal(rng)).collect()
    }

    fn images(&self, centres: &[f64], labels: &[u32], rng: &mut Rng) -> Features {
        let mut data = Vec::with_capacity(labels.len() * self.d);
        for l in labels {
            data.extend(centres[*l as usize * self.d..][..self.d].iter().map(|c| (c + normal(rng)) as f32));
        }
        Features::new(self.d, data)
    }
}

/// As many of each class.
fn in_turn(classes: u32, n: u32) -> Vec<u32> {
    (0..n).map(|i| i % classes).collect()
}

fn at_random(classes: u32, n: usize, rng: &mut Rng) -> Vec<u32> {
    (0..n).map(|_| rng.random_range(0..classes)).collect()
}

fn measures() {
    println!("\n| measure | sample | truth | interval holds (width) |\n|---|---|---|---|");
    let eer = |f: &Features, labels: &[u32]| {
        Pairs::all(Vectors::Features(f), labels, &Identities::numbered(labels.len()), 0).expect("pairs")
    };
    for (apart, classes, each) in [(1.5, 20, 10), (2.2, 20, 10), (1.5, 40, 10), (4.0, 20, 5)] {
        let world = World { d: 8, apart };
        let one = |classes: u32, rng: &mut Rng| {
            let (centres, labels) = (world.centres(classes as usize, rng), in_turn(classes, classes * each));
            eer(&world.images(&centres, &labels, rng), &labels)
        };
        let truth = (0..40u64)
            .into_par_iter()
            .map(|i| one(400, &mut numbers(6, i)).equal_error_rate().eer)
            .sum::<f64>()
            / 40.0;
        let held = holds(7, 400, truth, |rng| one(classes, rng).eer_interval(1, Independent::Classes));
        println!("| EER, open set | {classes} classes of {each} | {:.3} % | {held} |", 100.0 * truth);
    }
    for (apart, n) in [(1.5, 200), (2.2, 200)] {
        let world = World { d: 8, apart };
        let centres = world.centres(10, &mut numbers(8, 0));
        let one = |n: u32, rng: &mut Rng| {
            let labels = in_turn(10, n);
            eer(&world.images(&centres, &labels, rng), &labels)
        };
        let truth = (0..40u64)
            .into_par_iter()
            .map(|i| one(2000, &mut numbers(9, i)).equal_error_rate().eer)
            .sum::<f64>()
            / 40.0;
        let held = holds(10, 400, truth, |rng| one(n, rng).eer_interval(1, Independent::Images));
        println!(
            "| EER, classes that were trained on | {n} images of 10 classes | {:.3} % | {held} |",
            100.0 * truth
        );
    }
    // An anomaly scores higher by the given number of deviations: areas of 0.76, 0.95, 0.99 and 0.999.
    for (area, by) in [(0.76, 0.9989), (0.95, 2.3262), (0.99, 3.2900), (0.999, 4.3703)] {
        for (m, n) in [(30usize, 30usize), (30, 300), (100, 1000)] {
            let held = holds(11, 400, area, |rng| {
                let anomaly: Vec<bool> = (0..m + n).map(|i| i < m).collect();
                let scores: Vec<f64> =
                    anomaly.iter().map(|a| normal(rng) + if *a { by } else { 0.0 }).collect();
                let d = Detection::new(&scores, &anomaly).expect("both kinds");
                let draws: Vec<f64> =
                    Detection::bootstrap(&scores, &anomaly, Identities::numbered(m + n).keys(), 1)
                        .iter()
                        .flatten()
                        .map(|d| d.auroc)
                        .collect();
                bootstrap_interval(d.auroc, &draws, d.units())
            });
            println!("| AUROC | {m} anomalies, {n} normal | {area} | {held} |");
        }
    }
}

fn thresholds() {
    println!("\n| promise | calibrated on | promised | kept on new images |\n|---|---|---|---|");
    let mean = |table: u64, times: u64, of: &(dyn Fn(&mut Rng) -> (f64, f64) + Sync)| {
        let all: Vec<(f64, f64)> = (0..times).into_par_iter().map(|i| of(&mut numbers(table, i))).collect();
        let n = times as f64;
        (all.iter().map(|a| a.0).sum::<f64>() / n, all.iter().map(|a| a.1).sum::<f64>() / n)
    };
    let world = World { d: 8, apart: 3.0 };
    let methods = ["knn", "mahalanobis", "mahalanobis-by-class", "lof"];
    for method in methods.map(|name| name.parse::<AnomalyMethod>().expect("a method")) {
        for (n, rate) in [(100u32, 0.01), (100, 0.05), (500, 0.01)] {
            let (promised, kept) = mean(12, 300, &|rng| {
                let centres = world.centres(2, rng);
                let (labels, asked) = (in_turn(2, n), in_turn(2, 1000));
                let (reference, new) =
                    (world.images(&centres, &labels, rng), world.images(&centres, &asked, rng));
                let ids = Identities::numbered(labels.len());
                let of = Reference::new(Vectors::Features(&reference), &labels, &ids);
                let detector = Detector::fit(of, method).expect("enough");
                let alarm =
                    alarm_threshold(detector.reference_scores().into_iter().flatten().collect(), rate);
                let scores = detector.score(Vectors::Features(&new), None);
                (alarm.rate, scores.iter().filter(|s| **s > alarm.threshold).count() as f64 / 1000.0)
            });
            println!(
                "| --false-alarms {rate}, {method} | {n} references, each left out | at most {:.2} % | {:.2} % |",
                100.0 * promised,
                100.0 * kept
            );
        }
    }
    for (n, accept, rule) in [
        (60u32, 0.99, Rule::Weighted(5)),
        (200, 0.95, Rule::Weighted(5)),
        (200, 0.99, Rule::Means),
        (1000, 0.99, Rule::Knn(5)),
    ] {
        let (promised, kept) = mean(13, 300, &|rng| {
            let centres = world.centres(5, rng);
            let (labels, asked) = (in_turn(5, n), in_turn(5, 1000));
            let (gallery, new) = (world.images(&centres, &labels, rng), world.images(&centres, &asked, rng));
            let ids = Identities::numbered(labels.len());
            let c = Classifier::new(Reference::new(Vectors::Features(&gallery), &labels, &ids), 5, rule);
            let by = c.calibrate(None, accept).expect("classes of many");
            let known = c.answer(&new, None, &by).iter().flatten().filter(|a| a.known).count();
            (by.accept, known as f64 / 1000.0)
        });
        println!(
            "| --accept {accept}, {rule:?} | {n} images, each left out | at least {:.2} % | {:.2} % |",
            100.0 * promised,
            100.0 * kept
        );
    }
    let faces = World { d: 16, apart: 1.0 };
    for (classes, each, far, others) in
        [(10u32, 20u32, 0.01, false), (20, 10, 0.01, true), (100, 4, 0.001, true), (1000, 2, 0.001, true)]
    {
        let (promised, kept) = mean(14, 200, &|rng| {
            let centres = faces.centres(classes as usize, rng);
            let labels = in_turn(classes, classes * each);
            let known = faces.images(&centres, &labels, rng);
            let ids = Identities::numbered(labels.len());
            let pairs = Pairs::all(Vectors::Features(&known), &labels, &ids, 0).expect("pairs");
            let at = pairs.promising(far);
            // New images of the same classes, or of others.
            let more = if others { 200 } else { classes };
            let centres = if others { faces.centres(200, rng) } else { centres };
            let asked = in_turn(more, 400);
            let new = faces.images(&centres, &asked, rng);
            let new =
                Pairs::all(Vectors::Features(&new), &asked, &Identities::numbered(400), 0).expect("pairs");
            let two = new.sorted().iter().filter(|p| !p.genuine);
            let accepted = two.filter(|p| p.distance <= at.threshold).count();
            (at.far, accepted as f64 / new.counts().1 as f64)
        });
        let of = if others { "other classes" } else { "the same classes" };
        println!(
            "| --far {far}, pairs of {of} | {classes} classes of {each} | at most {:.3} % | {:.3} % |",
            100.0 * promised,
            100.0 * kept
        );
    }
}

/// What confidences are told, and how often answers are right, in ten bins of equal numbers.
fn confidences() {
    println!(
        "\n| rule | classes, numbers, gallery | calibrated on | told in | accuracy | largest gap of ten bins, pooled | of one set, root mean square (of which chance) |"
    );
    println!("|---|---|---|---|---|---|---|");
    let kinds = [
        (2u32, 2usize, 1.5, 400usize, 20_000usize),
        (5, 8, 1.2, 1000, 20_000),
        (20, 16, 0.9, 1000, 20_000),
        (10, 8, 1.6, 500, 1500),
        (10, 8, 2.5, 400, 0),
        (10, 8, 1.8, 16_000, 0),
    ];
    for rule in [Rule::Knn(5), Rule::Weighted(5), Rule::Means] {
        for (classes, d, apart, gallery, held_out) in kinds {
            let world = World { d, apart };
            const SETS: u64 = 10;
            const ASKED: usize = 10_000;
            let mut pooled: Vec<(f64, bool)> = Vec::new();
            let (mut told, mut right, mut squares, mut chance, mut bins) = (0, 0.0, 0.0, 0.0, 0.0);
            for set in 0..SETS {
                let rng = &mut numbers(15, set);
                let centres = world.centres(classes as usize, rng);
                let (labels, truth) = (at_random(classes, gallery, rng), at_random(classes, held_out, rng));
                let asked = at_random(classes, ASKED, rng);
                let of = world.images(&centres, &labels, rng);
                let known = world.images(&centres, &truth, rng);
                let new = world.images(&centres, &asked, rng);
                let (ids, known_ids) = (Identities::numbered(gallery), Identities::numbered(held_out));
                let c = Classifier::new(
                    Reference::new(Vectors::Features(&of), &labels, &ids),
                    classes as usize,
                    rule,
                );
                let known = Reference::new(Vectors::Features(&known), &truth, &known_ids);
                let by = c.calibrate((held_out > 0).then_some(known), 0.99).expect("classes of many");
                right += by.accuracy / SETS as f64;
                let answers = c.answer(&new, None, &by);
                let mut own: Vec<(f64, bool)> = answers
                    .iter()
                    .zip(&asked)
                    .filter_map(|(a, l)| Some((a.as_ref()?.confidence?, a.as_ref()?.class == *l)))
                    .collect();
                if own.is_empty() {
                    continue;
                }
                told += 1;
                for (said, was, n) in gaps(&mut own) {
                    squares += (said - was).powi(2);
                    chance += was * (1.0 - was) / n;
                    bins += 1.0;
                }
                pooled.extend(own);
            }
            let on = if held_out > 0 {
                format!("{held_out} held out")
            } else {
                "the gallery, each left out".to_owned()
            };
            let row = format!(
                "| {rule:?} | {classes}, {d}, {gallery} | {on} | {told} of {SETS} | {:.1} %",
                100.0 * right
            );
            if told == 0 {
                println!("{row} | not told | |");
                continue;
            }
            let largest =
                gaps(&mut pooled).into_iter().map(|(said, was, _)| (said - was).abs()).fold(0.0, f64::max);
            println!(
                "{row} | {:.2} points | {:.2} ({:.2}) points |",
                100.0 * largest,
                100.0 * f64::sqrt(squares / bins),
                100.0 * f64::sqrt(chance / bins)
            );
        }
    }
}

/// Of ten bins by confidence: the mean confidence, the share that was right, and how many.
fn gaps(told: &mut [(f64, bool)]) -> Vec<(f64, f64, f64)> {
    told.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = told.len();
    let bin = |i: usize| {
        let bin = &told[i * n / 10..(i + 1) * n / 10];
        let many = bin.len() as f64;
        (bin.iter().map(|b| b.0).sum::<f64>() / many, bin.iter().filter(|b| b.1).count() as f64 / many, many)
    };
    (0..10).map(bin).collect()
}

fn main() {
    let only = std::env::args().nth(1).filter(|a| !a.starts_with('-')).unwrap_or_default();
    let tables: [(&str, fn()); 7] = [
        ("shares", shares),
        ("classes", classes),
        ("values", values),
        ("differences", differences),
        ("measures", measures),
        ("thresholds", thresholds),
        ("confidences", confidences),
    ];
    for (name, table) in tables {
        if only.is_empty() || only == name {
            table();
        }
    }
}
