//! What `bench/collection.py` times: a collection of many vectors, filled, searched and changed within one process. Prints a JSON object.
//!
//! `fill COLLECTION VECTORS.npy`, `search COLLECTION QUERIES.npy`, `change COLLECTION VECTORS.npy ROUNDS`

use alike::data::Preparation;
use alike::encoder::EncoderFacts;
use alike::gallery::read_vectors;
use alike::images::{Features, Shape, Vectors};
use alike::limits::Limits;
use alike::neighbours::{Exclude, Index, Neighbour, try_nearest};
use alike_store::index::{Coded, InMemory, file_of};
use alike_store::{
    About, Access, Address, Collection, CollectionIndex, NewItem, Occasion, StoreError, Taken,
};
use serde_json::json;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// Vectors that are added in one transaction.
const AT_ONCE: usize = 20_000;
/// Neighbours of a query.
const K: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    "array=16G".parse::<Limits>()?.install();
    match &words[..] {
        ["fill", collection, vectors] => fill(Path::new(collection), Path::new(vectors)),
        ["search", collection, queries] => search(Path::new(collection), Path::new(queries)),
        ["change", collection, vectors, rounds] => {
            change(Path::new(collection), Path::new(vectors), rounds.parse()?)
        }
        // Without arguments, as `cargo bench` calls it, nothing is timed.
        _ => {
            println!("python bench/collection.py runs this");
            Ok(())
        }
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A picture without a file, whose path has sixty bytes.
fn item(i: usize) -> NewItem {
    NewItem {
        place: format!("/home/somebody/photos/of/a/long/holiday/picture-{i:09}.jpg"),
        hash: Some((i as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
        class: Some(format!("c{}", i % 10)),
        ..NewItem::default()
    }
}

fn put(
    collection: &mut Collection,
    vectors: &Features,
    rows: std::ops::Range<usize>,
    as_of: usize,
) -> Result<(), StoreError> {
    let at: Vec<usize> = rows.clone().collect();
    let items: Vec<NewItem> = rows.map(|i| item(as_of + i)).collect();
    collection.add(&items, &vectors.select(&at), &mut Occasion::new("add", "bench"), Taken::Refuse).map(drop)
}

fn fill(path: &Path, vectors: &Path) -> Result<(), Box<dyn Error>> {
    let vectors = read_vectors(vectors)?;
    let facts = EncoderFacts {
        preparation: Preparation::exact(Shape { h: 1, w: 1, c: vectors.d() }),
        dimension: vectors.d(),
        unit_length: false,
        fingerprint: "bench".into(),
    };
    let mut collection = Collection::create(path, About::new(&facts, Address::default()))?;
    let began = Instant::now();
    for first in (0..vectors.len()).step_by(AT_ONCE) {
        put(&mut collection, &vectors, first..(first + AT_ONCE).min(vectors.len()), 0)?;
    }
    let filled = ms(began);
    let began = Instant::now();
    let answer = collection.compact()?;
    let report = json!({
        "fill_ms": filled,
        "compact_ms": ms(began),
        "bytes": answer.after,
        "index_bytes": answer.index,
        "times_the_vectors": (answer.after + answer.index) as f64 / (4 * vectors.len() * vectors.d()) as f64,
    });
    println!("{report}");
    Ok(())
}

/// By query: pictures and distances.
type Found = Vec<Vec<(Option<i64>, f64)>>;

/// Whether codes find what all vectors in memory do.
fn is_exact(collection: &Collection, index: &Coded, queries: &Features) -> Result<bool, StoreError> {
    let plain = InMemory::read(collection)?;
    let found = |index: &dyn CollectionIndex| -> Result<Found, StoreError> {
        let index_of = |n: &Neighbour| (index.item(n.index), n.distance);
        let as_index: &dyn Index<Error = StoreError> = index;
        try_nearest(as_index, Vectors::Features(queries), K, Exclude::None, |_, list| {
            list.iter().map(index_of).collect()
        })
    };
    Ok(found(index)? == found(&plain)?)
}

/// Kilobytes of memory that the process has in use, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find(|l| l.starts_with("VmRSS:"))?.split_whitespace().nth(1)?.parse().ok()
}

fn search(path: &Path, queries: &Path) -> Result<(), Box<dyn Error>> {
    let queries = read_vectors(queries)?;
    let began = Instant::now();
    let collection = Collection::open(path, Access::Read)?;
    let index = Coded::open(&collection)?;
    let opened = ms(began);
    let ask = |some: &Features| -> Result<Vec<Vec<Neighbour>>, StoreError> {
        let index: &dyn Index<Error = StoreError> = &index;
        try_nearest(index, Vectors::Features(some), K, Exclude::None, |_, list| list.to_vec())
    };
    let ones: Vec<Features> = (0..queries.len().min(50)).map(|i| queries.select(&[i])).collect();
    ones.iter().take(5).try_for_each(|one| ask(one).map(drop))?;
    let mut times = Vec::new();
    let mut found = Vec::new();
    for one in &ones {
        let began = Instant::now();
        let lists = ask(one)?;
        times.push(ms(began));
        found.extend(lists);
    }
    let hundred = queries.select(&(0..queries.len().min(100)).collect::<Vec<_>>());
    let mut many = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        ask(&hundred)?;
        many.push(ms(began));
    }
    let lists: Vec<Vec<(usize, f64)>> =
        found.iter().map(|l| l.iter().map(|n| (n.index, n.distance)).collect()).collect();
    let report = json!({
        "open_ms": opened,
        "one_ms": median(times.clone()),
        "slowest_ms": times.iter().copied().fold(0.0, f64::max),
        "hundred_ms": median(many),
        "memory_kb": memory(),
        "index_file": file_of(path),
        "found": lists,
    });
    println!("{report}");
    Ok(())
}

fn change(path: &Path, vectors: &Path, rounds: usize) -> Result<(), Box<dyn Error>> {
    let vectors = read_vectors(vectors)?;
    let mut collection = Collection::open(path, Access::Write)?;
    let mut index = Coded::open(&collection)?;
    let (mut ones, mut times, mut wrong) = (Vec::new(), Vec::new(), 0);
    let mut next = 10_000_000;
    for i in 0..20 {
        let began = Instant::now();
        put(&mut collection, &vectors, i..i + 1, next)?;
        ones.push(ms(began));
    }
    next += 1000;
    let ids = collection.ids(None)?;
    for round in 0..rounds {
        let gone: Vec<i64> =
            ids.iter().skip(round * 7).step_by(ids.len() / 1000).take(1000).copied().collect();
        let began = Instant::now();
        collection.remove(&gone)?;
        put(&mut collection, &vectors, 0..1000, next)?;
        index.refresh()?;
        times.push(ms(began));
        next += 1000;
        wrong +=
            usize::from(!is_exact(&collection, &index, &vectors.select(&[round, 7 * round, 31 * round]))?);
    }
    println!(
        "{}",
        json!({ "add_one_ms": median(ones), "round_ms": median(times), "rounds": rounds, "wrong_rounds": wrong })
    );
    Ok(())
}
