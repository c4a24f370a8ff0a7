//! Search in a large collection, by its index and without.

use crate::scene::Scene;
use alike::images::{Features, Vectors};
use alike::neighbours::{Exclude, Index, Neighbour};
use alike_store::index::{Coded, InMemory, file_of};
use alike_store::{
    BestOf, Collection, CollectionIndex, NewItem, Occasion, StoreError, Taken, Wanted, search,
};

/// Classes on a plane, far from the origin, some of their pictures the same.
fn fill(collection: &mut Collection, from: usize, n: usize) {
    let mut items = Vec::new();
    let mut data = Vec::new();
    for i in from..from + n {
        let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (class, a, b) = (i % 11, (mixed >> 40) as f32 / 1e7, (mixed >> 20 & 0xF_FFFF) as f32 / 1e6);
        let same = if i % 5 == 0 { 0.0 } else { 1.0 };
        data.extend([100.0 * class as f32 + same * a, 1e3 + same * b, class as f32]);
        let (place, class) = (format!("/p/{i}.jpg"), Some(format!("c{class}")));
        items.push(NewItem { place, class, group: Some(format!("g{}", i % 3)), ..NewItem::default() });
    }
    collection.add(&items, &Features::new(3, data), &mut Occasion::new("add", ""), Taken::Refuse).unwrap();
}

/// The shortest index: all distances, sorted.
struct Brute {
    ids: Vec<i64>,
    rows: Vec<Vec<f32>>,
}

impl Index for Brute {
    type Error = StoreError;

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn search(
        &self,
        queries: Vectors<'_>,
        k: usize,
        exclude: Exclude<'_>,
        take: &(dyn Fn(usize, &[Neighbour]) + Sync),
    ) -> Result<(), StoreError> {
        for q in 0..queries.len() {
            let mut query = vec![0.0; queries.d()];
            queries.read(q, &mut query);
            let far = |row: &Vec<f32>| -> f64 {
                row.iter().zip(&query).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
            };
            let mut all: Vec<(f64, usize)> = self.rows.iter().map(far).zip(0..).collect();
            all.retain(|(_, i)| !exclude.covers(q, *i));
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let found =
                all.iter().take(k).map(|(far, index)| Neighbour { index: *index, distance: far.sqrt() });
            take(q, &found.collect::<Vec<_>>());
        }
        Ok(())
    }
}

impl CollectionIndex for Brute {
    fn item(&self, member: usize) -> Option<i64> {
        self.ids.get(member).copied()
    }
}

fn queries() -> Features {
    Features::new(3, vec![301.0, 1000.5, 3.0, 250.0, 1000.0, 2.0, -1e5, 0.0, 7.0, 500.0, 1e3, 5.0])
}

#[track_caller]
fn agree(collection: &Collection, coded: &Coded, wanted: Wanted<'_>) {
    let whole = InMemory::read(collection).unwrap();
    let own = [None, Some(3), None, None];
    let ask = |index: &dyn CollectionIndex| search(collection, index, &queries(), &own, wanted).unwrap();
    let (found, expected) = (ask(coded), ask(&whole));
    let ids = collection.ids(None).unwrap();
    let rows = ids.iter().map(|id| collection.vector(*id).unwrap()).collect();
    assert_eq!(ask(&Brute { ids, rows }), expected, "{wanted:?}");
    assert!(expected.iter().any(|hits| !hits.is_empty()) || wanted.k == 0);
    assert_eq!(found, expected, "{wanted:?}");
}

#[test]
fn codes_find_what_comparing_with_all_finds_through_every_change() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    fill(&mut collection, 0, 3000);
    let mut coded = Coded::open(&collection).unwrap();
    assert!(file_of(collection.path()).is_file());
    let filter = "class in ('c3', 'c4') and group != 'g1'".parse().unwrap();
    let plain = Wanted { k: 10, skip: 0, filter: None, within: None, best: None };
    let all = [
        plain,
        Wanted { k: 3, skip: 7, filter: Some(&filter), ..plain },
        Wanted { k: 40, within: Some(120.0), ..plain },
        Wanted { k: 6, best: Some(BestOf::Class), ..plain },
        Wanted { k: 3, best: Some(BestOf::Group), filter: Some(&filter), ..plain },
        Wanted { k: 5000, ..plain },
    ];
    for round in 0..4 {
        let gone: Vec<i64> = (1..=collection.len().unwrap() as i64).filter(|id| id % 7 == round).collect();
        collection.remove(&gone).unwrap();
        fill(&mut collection, 3000 + 500 * round as usize, 500);
        coded.refresh().unwrap();
        for wanted in all {
            agree(&collection, &coded, wanted);
        }
        // The file is older than what it is opened for.
        agree(&collection, &Coded::open(&collection).unwrap(), plain);
    }
    collection.compact().unwrap();
    let error = coded.refresh().unwrap_err().to_string();
    assert!(error.contains("search again"), "{error}");
    agree(&collection, &Coded::open(&collection).unwrap(), plain);
    // Damaged, of another collection, or gone: nothing but time is lost.
    std::fs::write(file_of(collection.path()), b"alikecod and rubbish").unwrap();
    agree(&collection, &Coded::open(&collection).unwrap(), plain);
    let copy = scene.path("b.alike");
    collection.backup(&copy).unwrap();
    std::fs::copy(file_of(collection.path()), file_of(&copy)).unwrap();
    let copy = Collection::open(&copy, alike_store::Access::Write).unwrap();
    agree(&copy, &Coded::open(&copy).unwrap(), plain);
}
