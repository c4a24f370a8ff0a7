//! `alike cluster`.

use super::report::draw;
use super::{refuse_existing, write_table};
use crate::args::{ClusterArg, ClusterArgs, Global};
use crate::printer::line;
use crate::using::Model;
use alike::eval::{
    Agreement, Assignment, agreement, agreement_bootstrap, bootstrap_interval, by_density, k_means,
};
use alike::files;
use alike::images::Images;
use alike::own::OwnTable;
use alike::report::{PictureRow, Shown, picture_rows};
use alike::sample;
use anyhow::{Context, ensure};
use serde_json::json;
use std::collections::BTreeMap;

/// Attempts of k-means, the best of which counts.
const ATTEMPTS: usize = 4;
/// Images that a sheet shows of a cluster.
const SHOWN: usize = 16;
/// Clusters of a sheet, the largest.
const CLUSTERS: usize = 60;

type Measure = fn(&Agreement) -> f64;
/// How clusters agree with classes.
const MEASURES: [(&str, Measure); 7] = [
    ("NMI", |a| a.nmi),
    ("AMI", |a| a.ami),
    ("ARI", |a| a.ari),
    ("homogeneity", |a| a.homogeneity),
    ("completeness", |a| a.completeness),
    ("V-measure", |a| a.v_measure),
    ("purity", |a| a.purity),
];

/// Between what a measure of `n` images lies, 95 %.
fn interval(of: Measure, found: &Agreement, draws: &[Agreement], n: usize) -> [f64; 2] {
    bootstrap_interval(of(found), &draws.iter().map(of).collect::<Vec<_>>(), n as f64)
}

/// Those that are shown of a cluster, as far as they can be.
type Pictures = Vec<Option<(Images, usize)>>;

pub(crate) fn run(args: &ClusterArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<_> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let known = if args.images.is_empty() {
        let data = model.own_data()?;
        let (split, part) =
            if data.test.is_empty() { (&data.train, "training") } else { (&data.test, "test") };
        model.own(&data, split, part)?
    } else {
        model.known(&args.images)?
    };
    let gallery = &known.gallery;
    let n = gallery.len();
    let (assignment, method): (Assignment, String) = match args.method {
        ClusterArg::KMeans => {
            let there = gallery.labels.iter().flatten().collect::<std::collections::BTreeSet<_>>().len();
            let k = args.k.map(|k| k as usize).or((there > 0).then_some(there));
            let k = k.context("images have no classes to count; say how many clusters with -k")?;
            ensure!(k <= n, "{k} clusters of {n} images are too many; lower -k");
            let found = k_means(model.tier(), &gallery.features, k, ATTEMPTS, global.seed.unwrap_or(0));
            (found.assignment.into_iter().map(Some).collect(), format!("k-means with k = {k}"))
        }
        ClusterArg::Density => {
            let found = by_density(&gallery.features, args.least as usize).map_err(anyhow::Error::msg)?;
            (found, format!("density, clusters of {} or more", args.least))
        }
    };
    let mut members: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    assignment.iter().enumerate().for_each(|(i, c)| members.entry(*c).or_default().push(i));
    let alone = members.remove(&None).map_or(0, |m| m.len());
    let mut clusters: Vec<(u32, Vec<usize>)> =
        members.into_iter().filter_map(|(c, m)| Some((c?, m))).collect();
    clusters.sort_by_key(|(c, m)| (std::cmp::Reverse(m.len()), *c));
    let labelled: Option<Vec<u32>> = gallery.labels.iter().copied().collect();
    let seed = global.seed.unwrap_or(0);
    let agrees = labelled
        .map(|labels| (agreement(&labels, &assignment), agreement_bootstrap(&labels, &assignment, seed)));
    if let Some(path) = &args.csv {
        let mut csv = OwnTable::new("cluster", Vec::new(), &["path", "cluster", "class"])?;
        for (i, cluster) in assignment.iter().enumerate() {
            let cluster = cluster.map_or(String::new(), |c| c.to_string());
            csv.row([gallery.names[i].as_str(), &cluster, gallery.class(i).unwrap_or_default()])?;
        }
        write_table(path, csv.finish()?, global)?;
    }
    if let Some(out) = &args.out {
        let found: Vec<(String, Pictures)> = clusters
            .iter()
            .take(CLUSTERS)
            .map(|(c, members)| {
                let keys: Vec<u64> = members.iter().map(|i| gallery.identities.keys()[*i]).collect();
                let some = sample::some(&keys, SHOWN, seed).into_iter();
                let some = some.map(|i| model.find(&known, members[i])).collect();
                (format!("cluster {c}: {} images{}", members.len(), commonest(gallery, members)), some)
            })
            .collect();
        let blank = model.blank();
        let rows: Vec<PictureRow<'_>> = found
            .iter()
            .map(|(heading, some)| PictureRow {
                lead: None,
                heading: heading.clone(),
                others: some.iter().map(|picture| Shown::or_blank(picture, &blank)).collect(),
            })
            .collect();
        let half = rows.len().div_ceil(2);
        let panels = [("Clusters, the largest first", rows[..half].to_vec()), ("", rows[half..].to_vec())];
        let caption =
            format!("{} clusters of {n} images by {method}; {alone} images belong to none.", clusters.len());
        let figure = picture_rows("clusters", "What lies together", caption, &panels);
        files::write(out, &draw(&figure, out)?)?;
    }
    if global.json {
        let sizes: BTreeMap<String, usize> = clusters.iter().map(|(c, m)| (c.to_string(), m.len())).collect();
        let intervals: Option<BTreeMap<&str, [f64; 2]>> = agrees.as_ref().map(|(a, draws)| {
            let measured = MEASURES.into_iter().filter(|_| !draws.is_empty());
            measured.map(|(name, of)| (name, interval(of, a, draws, n))).collect()
        });
        let agrees = agrees.map(|a| a.0);
        return line(
            json!({ "method": method, "images": n, "clusters": sizes, "in_none": alone, "agreement": agrees,
                "intervals": intervals })
            .to_string(),
        );
    }
    line(format!("{n} images, {} clusters by {method}; {alone} images belong to none", clusters.len()))?;
    for (c, members) in clusters.iter().take(CLUSTERS) {
        line(format!("{c:>5}  {:>6} images{}", members.len(), commonest(gallery, members)))?;
    }
    if let Some((a, draws)) = agrees {
        line("against classes [95 % interval]")?;
        for (name, of) in MEASURES {
            let interval = match &draws[..] {
                [] => String::new(),
                _ => {
                    let [low, high] = interval(of, &a, &draws, n);
                    format!("[{low:.4}, {high:.4}]")
                }
            };
            line(format!("{name:14} {:.4} {interval}", of(&a)))?;
        }
    }
    Ok(())
}

/// The commonest class of some images, with its share.
fn commonest(gallery: &alike::gallery::Gallery, members: &[usize]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    members.iter().filter_map(|i| gallery.class(*i)).for_each(|c| *counts.entry(c).or_default() += 1);
    let best = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    best.map_or(String::new(), |(class, n)| {
        format!(", {:.0} % {class}", 100.0 * n as f64 / members.len() as f64)
    })
}
