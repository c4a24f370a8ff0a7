//! `alike map`.

use super::refuse_existing;
use crate::args::{Global, MapArg, MapArgs};
use crate::printer::{line, note};
use crate::using::OpenModel;
use alike::data::{Dataset, NO_CLASS, Split};
use alike::files;
use alike::identity::{Identities, Shared};
use alike::images::{Features, Images, Vectors};
use alike::neighbours::{Leave, Neighbour, nearest};
use alike::projection::{Pca, TSNE_NEIGHBOURS, tsne, umap};
use alike::report::{Colouring, MapPoints};
use alike::sample;
use anyhow::ensure;
use serde_json::json;

/// Neighbours that UMAP looks at.
const UMAP_NEIGHBOURS: usize = 15;

/// Where a point comes from.
struct Source {
    data: Dataset,
    /// Its part, and the embeddings of all its images.
    parts: Vec<(&'static str, Split, Features)>,
}

pub(crate) fn run(args: &MapArgs, global: &Global) -> anyhow::Result<()> {
    refuse_existing(&[&args.out], args.force)?;
    ensure!(
        args.out.extension().is_some_and(|e| e == "html" || e == "htm"),
        "a map is a page; name a .html file, not {}",
        args.out.display()
    );
    let model = OpenModel::new(&args.run, &args.pictures, global)?;
    let source = if args.images.is_empty() {
        let data = model.read_own()?;
        let mut parts = Vec::new();
        for (name, split) in [("train", &data.train), ("test", &data.test)] {
            parts.push((name, split.clone(), model.embed(&split.images)?));
        }
        Source { data, parts }
    } else {
        let data = model.read(&args.images)?;
        let features = model.embed(&data.train.images)?;
        Source { parts: vec![("given", data.train.clone(), features)], data }
    };
    let Source { data, parts } = &source;
    // As many of each part as there is room for.
    let total: usize = parts.iter().map(|p| p.1.len()).sum();
    ensure!(total > 0, "there are no images to place");
    let most = (args.most as usize).min(total);
    let per: Vec<usize> = parts.iter().map(|p| p.1.len().min(most / parts.len().max(1))).collect();
    let spare = most - per.iter().sum::<usize>();
    let chosen: Vec<(usize, usize)> = parts
        .iter()
        .zip(&per)
        .enumerate()
        .flat_map(|(p, (part, n))| {
            let drawn = sample::some(part.1.identities.keys(), (n + spare).min(part.1.len()), 0);
            drawn.into_iter().map(move |i| (p, i)).collect::<Vec<_>>()
        })
        .collect();
    let d = model.encoder().facts().dimension;
    let features = Features::new(d, chosen.iter().flat_map(|(p, i)| parts[*p].2.row(*i).to_vec()).collect());
    let v = Vectors::Features(&features);
    let pca = Pca::fit(model.tier(), v, 2);
    let plane: Vec<[f64; 2]> =
        pca.project(v).iter().map(|p| [0, 1].map(|k| p.get(k).copied().unwrap_or(0.0))).collect();
    let deepest = if args.method.contains(&MapArg::Tsne) { TSNE_NEIGHBOURS } else { UMAP_NEIGHBOURS };
    let lists: Vec<Vec<Neighbour>> = if args.method.iter().all(|m| *m == MapArg::Pca) {
        Vec::new()
    } else {
        nearest(model.tier(), v, v, deepest.min(features.len().saturating_sub(1)), Leave::Itself, |_, l| {
            l.to_vec()
        })
    };
    let mut layouts = Vec::new();
    for method in &args.method {
        note(global, format!("placing {} images by {}", chosen.len(), method.name()));
        let at = match method {
            MapArg::Pca => plane.clone(),
            MapArg::Tsne => tsne(&lists, &plane),
            MapArg::Umap => {
                let few: Vec<Vec<Neighbour>> =
                    lists.iter().map(|l| l[..l.len().min(UMAP_NEIGHBOURS)].to_vec()).collect();
                umap(&few, &plane, global.seed.unwrap_or(0))
            }
        };
        layouts.push((method.name().to_owned(), at));
    }
    let pictures: Vec<(&Images, usize)> = chosen.iter().map(|(p, i)| (&parts[*p].1.images, *i)).collect();
    let names = chosen.iter().map(|(p, i)| {
        let (part, split, _) = &parts[*p];
        split.names.get(*i).cloned().unwrap_or_else(|| format!("{part}/{i}"))
    });
    let map = MapPoints {
        title: format!("{}: a map of {} images", data.name, chosen.len()),
        layouts,
        names: names.collect(),
        colours: colours(&model, data, parts, &chosen),
        pictures,
    };
    let page = map.html();
    parts.iter().try_for_each(|p| p.1.images.check())?;
    files::write(&args.out, page.as_bytes())?;
    if global.json {
        let methods: Vec<&str> = args.method.iter().map(|m| m.name()).collect();
        return line(json!({ "map": args.out, "images": chosen.len(), "methods": methods }).to_string());
    }
    line(args.out.display().to_string())
}

/// Class, part, whether the nearest other is of another class, and how far the nearest one is of those that the run learned from.
fn colours(
    model: &OpenModel<'_>,
    data: &Dataset,
    parts: &[(&'static str, Split, Features)],
    chosen: &[(usize, usize)],
) -> Vec<Colouring> {
    let mut all = Vec::new();
    let label = |(p, i): &(usize, usize)| parts[*p].1.labels[*i];
    if data.labelled {
        let name = |c: &String| if c == NO_CLASS { "no class".to_owned() } else { c.clone() };
        let names = data.classes.iter().map(name).collect();
        all.push(Colouring::Kinds("class".into(), names, chosen.iter().map(label).collect()));
    }
    if parts.len() > 1 {
        let names = parts.iter().map(|p| p.0.to_owned()).collect();
        all.push(Colouring::Kinds("part".into(), names, chosen.iter().map(|c| c.0 as u32).collect()));
    }
    let reference = Vectors::Features(&parts[0].2);
    let mut near: Vec<Option<Neighbour>> = vec![None; chosen.len()];
    for (p, part) in parts.iter().enumerate() {
        let rows: Vec<usize> = (0..chosen.len()).filter(|c| chosen[*c].0 == p).collect();
        let asked = part.2.select(&rows.iter().map(|c| chosen[*c].1).collect::<Vec<_>>());
        // An image of the reference is not its own neighbour, in whichever part it is named again.
        let (of, members) = (&part.1.identities, &parts[0].1.identities);
        let same = Identities::shared(of, members).unwrap_or_else(|| Shared::none(of.len(), members.len()));
        let asks = |at: usize| match same.queries[at] {
            u32::MAX if p == 0 => same.gallery[at],
            number => number,
        };
        let own: Vec<u32> = rows.iter().map(|c| asks(chosen[*c].1)).collect();
        let leave = Leave::Group { queries: &own, gallery: &same.gallery };
        let found =
            nearest(model.tier(), Vectors::Features(&asked), reference, 1, leave, |_, l| l.first().copied());
        rows.iter().zip(found).for_each(|(c, n)| near[*c] = n);
    }
    if data.labelled && !data.is_open_set() {
        let wrong = |(c, n): (&(usize, usize), &Option<Neighbour>)| {
            u32::from(n.is_some_and(|n| parts[0].1.labels[n.index] != label(c)))
        };
        let kinds = vec!["nearest is of its class".to_owned(), "nearest is of another".to_owned()];
        all.push(Colouring::Kinds("error".into(), kinds, chosen.iter().zip(&near).map(wrong).collect()));
    }
    let far = near.iter().map(|n| n.map_or(0.0, |n| n.distance)).collect();
    all.push(Colouring::Scale("anomaly: distance to the nearest".into(), far));
    all
}
