use super::*;
use alike::images::Vectors;
use alike::neighbours::Neighbour;
use alike_kernels::Tier;
use proptest::prelude::*;
use std::convert::Infallible;
use std::sync::Mutex;

/// Numbers that look random, from 0 to 1.
fn draw(seed: u64, i: usize) -> f64 {
    let mixed = (seed.wrapping_mul(31) ^ i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 53) as f64
}

fn coded(vectors: &Features, count: usize) -> Codes {
    let mut building = Building::new(centres(vectors, count));
    let rows: Vec<usize> = (0..vectors.len()).collect();
    for chunk in rows.chunks(100) {
        let same = |member: u32, vector: &[f32]| -> Result<bool, Infallible> {
            // Bits, for that is how the same vectors are told.
            let there = vectors.row(member as usize);
            Ok(there.iter().zip(vector).all(|(a, b)| a.to_bits() == b.to_bits()))
        };
        let Ok(()) = building.extend(&vectors.select(chunk), same);
    }
    building.finish()
}

/// What comparing with all finds.
fn plain(vectors: &Features, query: &[f32], k: usize, out: &dyn Fn(usize) -> bool) -> Vec<Neighbour> {
    let mut all: Vec<Neighbour> = (0..vectors.len())
        .filter(|i| !out(*i))
        .map(|index| {
            let row = vectors.row(index);
            let square: f64 =
                query.iter().zip(row).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            Neighbour { index, distance: square }
        })
        .collect();
    all.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
    all.truncate(k);
    all.iter_mut().for_each(|n| n.distance = n.distance.sqrt());
    all
}

/// How many vectors were read.
fn check(
    vectors: &Features,
    codes: &Codes,
    queries: &Features,
    k: usize,
    out: &(dyn Fn(usize) -> bool + Sync),
) -> usize {
    let mut read = 0;
    for tier in Tier::available() {
        let found = Mutex::new(vec![None; queries.len()]);
        let reading = |member: u32, into: &mut [f32]| -> Result<bool, Infallible> {
            read += 1;
            into.copy_from_slice(vectors.row(member as usize));
            Ok(true)
        };
        let Ok(()) =
            codes.search((tier, Vectors::Features(queries)), k, &|_, m| !out(m), reading, &|q, list| {
                found.lock().unwrap()[q] = Some(list.to_vec());
            });
        for (q, list) in found.into_inner().unwrap().into_iter().enumerate() {
            assert_eq!(list.unwrap(), plain(vectors, queries.row(q), k, out), "{tier:?}, query {q}");
        }
    }
    read
}

/// Sets that are hard in a way each.
fn set(kind: usize, n: usize, d: usize, seed: u64) -> Features {
    let value = |i: usize, j: usize| -> f32 {
        let x = draw(seed, i * d + j);
        let class = |classes: usize| draw(seed ^ 99, (i % classes) * d + j);
        (match kind {
            // Spread out, coarse (many exact ties), a point each class, almost a point each class.
            0 => x * 2.0 - 1.0,
            1 => (x * 4.0).floor(),
            2 => class(5),
            3 => class(5) + 1e-6 * x,
            // Tight classes, far from the origin; tiny; huge; of very different lengths.
            4 => class(7) * 100.0 + 0.01 * x + 1e4,
            5 => (x - 0.5) * 1e-30,
            6 => (x - 0.5) * 1e30,
            7 => (x - 0.5) * [1e30, 1.0, 1e10, 1e-10, 0.0][i % 5],
            // One number that is much larger than all others; all the same; the largest floats.
            8 => {
                if j == i % d {
                    1e6 * x
                } else {
                    x
                }
            }
            9 => 1.25,
            10 => {
                if x < 0.1 {
                    f64::from(f32::MAX)
                } else if x < 0.2 {
                    -f64::from(f32::MAX)
                } else {
                    x
                }
            }
            // On a line, in rising order, so that centres lie at one end.
            _ => i as f64 * if j == 0 { 1.0 } else { 1e-3 },
        }) as f32
    };
    Features::new(d, (0..n).flat_map(|i| (0..d).map(move |j| (i, j))).map(|(i, j)| value(i, j)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn what_is_found_is_what_comparing_with_all_finds(
        kind in 0usize..12, n in 1usize..700, d in 1usize..24, k in 0usize..30, count in 1usize..20, seed in 0u64..1000, some in 1usize..5,
        pushed in 0usize..3,
    ) {
        let vectors = set(kind, n, d, seed);
        let first = n - n * pushed / 4;
        let rows: Vec<usize> = (0..n).collect();
        let mut codes = coded(&vectors.select(&rows[..first]), count);
        if first < n {
            codes.extend(&vectors.select(&rows[first..]));
        }
        prop_assert_eq!(codes.len(), n);
        // Members themselves, what lies between them, and what is far from all.
        let mut queries = vectors.select(&rows[..n.min(3)]).into_data();
        queries.extend(set(kind, 3, d, seed + 1).data());
        queries.extend((0..d).map(|j| 1e3 * j as f32));
        let queries = Features::new(d, queries);
        check(&vectors, &codes, &queries, k, &|_| false);
        check(&vectors, &codes, &queries, k, &|m| m % some == 0);
    }
}

#[test]
fn few_vectors_are_read() {
    let vectors = set(0, 6000, 32, 5);
    let codes = coded(&vectors, centre_count(6000));
    let read = check(&vectors, &codes, &set(0, 10, 32, 6), 10, &|_| false);
    let each = read / (10 * Tier::available().len());
    assert!((10..200).contains(&each), "{each} of 6000 vectors were read for a query");
    // Where every class is a point, a vector each.
    let points = set(2, 6000, 32, 5);
    let read = check(&points, &coded(&points, 20), &set(2, 10, 32, 6), 10, &|_| false);
    assert!(read <= 5 * 10 * Tier::available().len(), "{read} vectors were read");
}

#[test]
fn a_file_is_read_as_it_was_written_and_refused_when_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.codes");
    let vectors = set(2, 300, 7, 1);
    let codes = coded(&vectors, 6);
    let stamp = Stamp { uuid: "u".into(), generation: 3, last: 300 };
    let ids: Vec<i64> = (1..=300).collect();
    let items: Vec<i64> = (501..=800).collect();
    codes.write(&path, &stamp, [&ids, &items]).unwrap();
    let (again, of, numbers) = Codes::read(&path, "u", 3, 7).unwrap();
    assert_eq!((again == codes, of, numbers), (true, stamp, [ids, items]));
    assert!(matches!(Codes::read(&path, "v", 3, 7), Err(CodeFileError::Stale)));
    assert!(matches!(Codes::read(&path, "u", 4, 7), Err(CodeFileError::Stale)));
    assert!(matches!(Codes::read(&path, "u", 3, 8), Err(CodeFileError::Damaged)));
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 16;
        std::fs::write(&path, &bytes).unwrap();
        assert!(Codes::read(&path, "u", 3, 7).is_err(), "byte {at}");
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(Codes::read(&path, "u", 3, 7).is_err(), "cut at {at}");
    }
}
