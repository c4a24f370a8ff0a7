//! Ranks against whole sorts.

use super::*;
use crate::images::{Features, Images, Shape, with_pixels};
use crate::neighbours::{Exact, nearest};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn ranks_are_those_of_a_whole_sort_on_every_tier(
        n in 0usize..90, m in 1usize..1500, d in 1usize..12, coarse in 1u32..60, classes in 1u32..30, one_out: bool,
    ) {
        // Coarse values make many exact ties, which must all be broken by index.
        let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 20) % coarse;
        let gallery = Features::new(d, (0..m * d).map(|i| value(i + 7) as f32 + 100.0).collect());
        let queries = if one_out { gallery.clone() } else {
            Features::new(d, (0..n * d).map(|i| value(i * 3) as f32 + 100.0).collect())
        };
        let label = |i: usize| (i as u32).wrapping_mul(2_246_822_519) >> 7;
        let labels: Vec<u32> = (0..m).map(|i| label(i) % classes).collect();
        let asked: Vec<u32> = if one_out { labels.clone() } else {
            (0..n).map(|i| label(i + 99) % (classes + 1)).collect()
        };
        let (q, g) = (Vectors::Features(&queries), Vectors::Features(&gallery));
        let group = |n: usize| (0..n).map(|i| label(i * 5) % 9).collect::<Vec<u32>>();
        let (of_queries, of_gallery) = (group(q.len()), group(g.len()));
        for exclude in [Exclude::itself(one_out), Exclude::Group { queries: &of_queries, gallery: &of_gallery }] {
            for tier in Tier::available() {
                let expected = nearest(&Exact::with_tier(tier, g), q, m, exclude, |i, list| -> Vec<u32> {
                    let right = list.iter().enumerate().filter(|(_, x)| labels[x.index] == asked[i]);
                    right.map(|(rank, _)| rank as u32 + 1).collect()
                });
                let found = ranks_of_matches(tier, (q, &asked), (g, &labels), exclude, |_, ranks| ranks.to_vec());
                prop_assert_eq!(&found, &expected, "{:?} {:?}", tier, exclude);
            }
        }
    }
}

/// The ranks by distances one by one, in doubles.
fn plain(
    q: Vectors<'_>,
    g: Vectors<'_>,
    asked: &[u32],
    labels: &[u32],
    exclude: Exclude<'_>,
) -> Vec<Vec<u32>> {
    let rows: Vec<Vec<f32>> = (0..g.len()).map(|i| g.row(i)).collect();
    (0..q.len())
        .map(|i| {
            let query = q.row(i);
            // Equal numbers in another order have another sum, so the order must be the same.
            let far = |j: usize| Tier::available()[0].square_distance(&query, &rows[j]);
            let mut all: Vec<(f64, usize)> =
                (0..g.len()).filter(|j| !exclude.covers(i, *j)).map(|j| (far(j), j)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let right = all.iter().enumerate().filter(|(_, (_, j))| labels[*j] == asked[i]);
            right.map(|(rank, _)| rank as u32 + 1).collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ranks_are_exact_however_far_from_the_origin(
        seed: u32,
        d in prop::sample::select(vec![8usize, 64, 300, 784]),
        offset in prop::sample::select(vec![0f32, 1.0, 100.0, 1e4, 1e6]),
        spread in prop::sample::select(vec![1e-3f32, 0.1, 1.0, 100.0]),
        copies: bool,
    ) {
        let features = crate::neighbours::product::cloud(seed, 150, d, offset, spread, copies);
        let labels: Vec<u32> = (0..150u32).map(|i| (i * i + seed % 7) % 5).collect();
        let v = Vectors::Features(&features);
        let expected = plain(v, v, &labels, &labels, Exclude::Itself);
        for tier in Tier::available() {
            let found =
                ranks_of_matches(tier, (v, &labels), (v, &labels), Exclude::Itself, |_, ranks| ranks.to_vec());
            prop_assert!(found == expected, "{:?}: {} numbers, {} around {}", tier, d, spread, offset);
            let near = nearest(&Exact::with_tier(tier, v), v, 9, Exclude::Itself, |_, l| l.iter().map(|n| n.index).collect::<Vec<_>>());
            let first: Vec<bool> = near.iter().zip(&labels).map(|(l, own)| labels[l[0]] == *own).collect();
            let by_rank: Vec<bool> = expected.iter().map(|ranks| ranks.first() == Some(&1)).collect();
            prop_assert_eq!(first, by_rank);
        }
    }

    #[test]
    fn ranks_of_pixels_are_exact(
        seed: u32, side in prop::sample::select(vec![4usize, 16, 28, 40]), levels in 2u32..=256, dark in 0u32..200,
    ) {
        let n = 140;
        let shape = Shape { h: side, w: side, c: 1 };
        let bytes = (0..n * side * side)
            .map(|i| crate::neighbours::product::noise(seed, i) % levels * 255 / (levels - 1))
            .map(|v| v.saturating_sub(dark) as u8)
            .collect();
        let images = Images::new(shape, bytes);
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
        // The same numbers as features have no whole products to be told by.
        let rows = with_pixels([&images], |[v]| (0..n).flat_map(|i| v.row(i)).collect()).unwrap();
        let floats = Features::new(side * side, rows);
        let tier = Tier::available()[0];
        let of = |q: Vectors<'_>, g: Vectors<'_>| {
            ranks_of_matches(tier, (q, &labels), (g, &labels), Exclude::Itself, |_, ranks| ranks.to_vec())
        };
        let f = Vectors::Features(&floats);
        let found = with_pixels([&images], |[p]| {
            [of(p, p), of(p, f), plain(p, p, &labels, &labels, Exclude::Itself)]
        }).unwrap();
        prop_assert!(found.into_iter().all(|ranks| ranks == of(f, f)));
    }
}

#[test]
fn what_is_no_number_is_farther_than_all_that_is() {
    let (n, d) = (60, 12);
    let mut data = crate::neighbours::product::cloud(3, n, d, 5.0, 1.0, false).into_data();
    data[7 * d + 3] = f32::NAN;
    data[20 * d] = f32::INFINITY;
    data[33 * d + 1] = 3e30;
    let features = Features::new(d, data);
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
    let v = Vectors::Features(&features);
    let expected = plain(v, v, &labels, &labels, Exclude::Itself);
    for tier in Tier::available() {
        let found =
            ranks_of_matches(tier, (v, &labels), (v, &labels), Exclude::Itself, |_, ranks| ranks.to_vec());
        for i in (0..n).filter(|i| ![7, 20].contains(i)) {
            // An infinite distance and one that is no number are equally far.
            let finite = expected[i].iter().zip(&found[i]).filter(|(a, _)| **a < n as u32 - 2);
            assert!(finite.clone().all(|(a, b)| a == b), "{tier:?}, {i}: {:?} {:?}", found[i], expected[i]);
            assert_eq!(found[i].len(), expected[i].len());
        }
    }
}

/// Offset 100, spread 0.1, 300 numbers: what products around the origin ranked by noise.
#[test]
fn a_common_offset_does_not_change_map_at_r() {
    let (n, d) = (400usize, 300);
    let map = |offset: f32| {
        let noise = crate::neighbours::product::cloud(1, n, d, 0.0, 0.1, false);
        let centres = crate::neighbours::product::cloud(2, 10, d, 0.0, 0.03, false);
        let data = (0..n * d).map(|i| offset + noise.data()[i] + centres.row(i / d % 10)[i % d]).collect();
        let features = Features::new(d, data);
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 10).collect();
        let v = Vectors::Features(&features);
        let each = ranks_of_matches(
            Tier::available()[0],
            (v, &labels),
            (v, &labels),
            Exclude::Itself,
            |_, ranks| {
                let within = ranks.iter().enumerate().filter(|(_, r)| **r as usize <= ranks.len());
                within.map(|(i, r)| (i + 1) as f64 / f64::from(*r)).sum::<f64>() / ranks.len() as f64
            },
        );
        each.iter().sum::<f64>() / n as f64
    };
    let (near, far) = (map(0.0), map(100.0));
    assert!(near > 0.2 && (near - far).abs() < 0.01, "{near} {far}");
}
