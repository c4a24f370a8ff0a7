//! `alike eval verification MODEL`.

use super::{bracketed, percent};
use crate::args::{Global, VerificationArgs};
use crate::commands::report::draw;
use crate::commands::{places, refuse_existing, write_table};
use crate::printer::line;
use crate::using::{open_run, subject};
use alike::data::{FIRST, Request, SAME, SECOND, Table, truth};
use alike::eval::{AtFar, Folded, Independent, Pair, Pairs, Verification};
use alike::files;
use alike::images::{Vectors, with_pixels};
use alike::report::verification_figure;
use alike::tasks::independent;
use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Rows of a curve in a file, at most.
const ROWS: usize = 2000;

#[derive(Serialize)]
struct Space {
    #[serde(flatten)]
    eer: Verification,
    eer_interval: [f64; 2],
    at_far: Vec<AtFar>,
    /// The smallest rate of false acceptances that so many pairs can promise of others.
    least_far: f64,
    folded: Folded,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by: BTreeMap<String, Verification>,
}

pub(super) fn run(args: &VerificationArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<&Path> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let subject = subject(open_run(&args.model, args.subject.last)?, &args.subject, global)?;
    let split = subject.data.test.clone();
    ensure!(!split.is_empty(), "{} has no test images to make pairs of", subject.data.name);
    ensure!(
        subject.data.labelled || args.pairs.is_some(),
        "{} has no classes; say which pairs are the same with --pairs",
        subject.data.name
    );
    let given = args.pairs.as_deref().map(|path| read_pairs(path, &split.names)).transpose()?;
    for ([a, b], _) in given.iter().flatten() {
        let place = split.identities.place(*a);
        ensure!(
            a != b && (place.is_none() || place != split.identities.place(*b)),
            "{} pairs {} with {}, which is the same picture: an image is no match for itself",
            args.pairs.as_deref().unwrap_or(Path::new("the table")).display(),
            split.names[*a],
            split.names[*b]
        );
    }
    let conditions = match &args.by {
        None => None,
        Some(column) => {
            let request = match &args.subject.data {
                Some(what) => Request::from(what.as_str()),
                None => subject.settings.request()?,
            };
            let of = alike::data::column(&request, &places(global), column)?;
            Some(split.names.iter().map(|n| of.get(n).cloned().unwrap_or_default()).collect::<Vec<_>>())
        }
    };
    let groups = subject.groups(&split, args.leave_group)?;
    let features = subject.embed(&split.images)?;
    let measure = |vectors: Vectors<'_>| {
        let pairs = match &given {
            Some(given) => Pairs::given(vectors, given),
            None => Pairs::leaving_groups(vectors, &split.labels, &split.identities, &groups, 0),
        };
        pairs.context("there are no pairs of one class, or none of two")
    };
    let image = with_pixels([&split.images], |[pixels]| measure(pixels))??;
    let feature = measure(Vectors::Features(&features))?;
    let seed = global.seed.unwrap_or(0);
    // Pairs that are given stand for themselves.
    let of = if given.is_some() { Independent::Classes } else { independent(&subject.data) };
    let judge = |pairs: &Pairs| {
        let (eer_interval, tars) = pairs.intervals(seed, of, &args.far);
        let at_far =
            |(far, interval): (&f64, [f64; 2])| AtFar { interval: Some(interval), ..pairs.at_far(*far) };
        Space {
            eer: pairs.equal_error_rate(),
            eer_interval,
            at_far: args.far.iter().zip(tars).map(at_far).collect(),
            least_far: 1.0 / (pairs.counts().1 + 1) as f64,
            folded: pairs.folded(given.is_none(), seed),
            by: conditions.as_deref().map(|c| by_condition(pairs, c)).unwrap_or_default(),
        }
    };
    let spaces = [judge(&image), judge(&feature)];
    if let Some(out) = &args.out {
        let mut network = subject.pixel_gradients().filter(|_| !split.images.are_floats());
        let figure = verification_figure(&image, &feature, &split.images, network.as_mut())?;
        files::write(out, &draw(&figure, out)?)?;
    }
    if let Some(path) = &args.csv {
        write_table(path, curve(&[("image", &image), ("feature", &feature)])?.into_bytes(), global)?;
    }
    if global.json {
        let [image, feature] = spaces;
        return line(json!({ "data": subject.data.name, "image": image, "feature": feature }).to_string());
    }
    let unit = match (given.is_some(), of) {
        (true, _) => "pairs",
        (_, Independent::Classes) => "classes",
        (_, Independent::Images) => "images",
    };
    table(&subject.data.name, unit, &spaces)
}

fn table(name: &str, unit: &str, [image, feature]: &[Space; 2]) -> anyhow::Result<()> {
    line(format!(
        "{name}: {} pairs of one class, {} of two; [95 % interval over other {unit}, by bootstrap]",
        feature.eer.genuine, feature.eer.impostor
    ))?;
    line(format!("{:22} {:>36} {:>36}", "", "image space", "feature space"))?;
    let eer = |s: &Space| {
        let [low, high] = s.eer_interval.map(|v| format!("{:.2}", 100.0 * v));
        format!("{} [{low}, {high}]", percent(s.eer.eer))
    };
    line(format!("{:22} {:>36} {:>36}", "EER [95 % interval]", eer(image), eer(feature)))?;
    for (i, f) in image.at_far.iter().zip(&feature.at_far) {
        let show = |a: &AtFar| {
            let interval = a.interval.map_or(String::new(), bracketed);
            format!("{} {interval} ({} wrong pairs)", percent(a.tar), a.support)
        };
        line(format!("{:22} {:>36} {:>36}", format!("TAR at FAR {}", f.far), show(i), show(f)))?;
    }
    let folded =
        |s: &Space| format!("{} ± {:.2}", percent(s.folded.accuracy), 100.0 * s.folded.standard_error);
    line(format!("{:22} {:>36} {:>36}", "accuracy, ten folds", folded(image), folded(feature)))?;
    line(format!("{:22} {:>36.4} {:>36.4}", "threshold at EER", image.eer.threshold, feature.eer.threshold))?;
    if feature.at_far.iter().any(|a| a.support < 10) {
        line("where fewer than ten wrong pairs are accepted, the rate is not well known")?;
    }
    if feature.at_far.iter().any(|a| a.far < feature.least_far) {
        line(format!(
            "{} pairs of two classes cannot tell a rate below {:.6} of false acceptances of others",
            feature.eer.impostor, feature.least_far
        ))?;
    }
    for (condition, f) in &feature.by {
        let i = image.by.get(condition).map_or(String::new(), |i| percent(i.eer));
        line(format!(
            "EER, {condition:17} {i:>36} {:>36}   {} + {} pairs",
            percent(f.eer),
            f.genuine,
            f.impostor
        ))?;
    }
    Ok(())
}

/// Pairs whose images share a condition have its name; others have both names.
fn by_condition(pairs: &Pairs, conditions: &[String]) -> BTreeMap<String, Verification> {
    let of = |p: &Pair| {
        let mut two = p.images.map(|i| conditions[i as usize].as_str());
        two.sort_unstable();
        if two[0] == two[1] { two[0].to_owned() } else { two.join(" / ") }
    };
    let mut all: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    pairs.sorted().iter().for_each(|p| all.entry(of(p)).or_default().push(*p));
    all.into_iter().filter_map(|(name, list)| Some((name, Pairs::new(list)?.equal_error_rate()))).collect()
}

/// A table of pairs by the names of images.
fn read_pairs(path: &Path, names: &[String]) -> anyhow::Result<Vec<([usize; 2], bool)>> {
    let index: HashMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    let table = Table::read(path)?;
    let columns = |wanted: &[&str]| {
        table.any(wanted).with_context(|| {
            format!(
                "{} has no column '{}' (its columns: {}; wanted: {}, {}, {})",
                path.display(),
                wanted[0],
                table.columns.join(", "),
                FIRST[0],
                SECOND[0],
                SAME[0]
            )
        })
    };
    let (a, b, same) = (columns(&FIRST)?, columns(&SECOND)?, columns(&SAME)?);
    let mut pairs = Vec::new();
    for (line, row) in &table.rows {
        let at = || format!("{}, line {line}", path.display());
        let image = |column: usize| {
            let name = row[column].as_str();
            // As tables of images may write them.
            let slashes = name.replace('\\', "/");
            let spelt = [name, &slashes, slashes.trim_start_matches("./")];
            let found = spelt.iter().find_map(|n| index.get(n).copied());
            found.with_context(|| format!("{}: there is no test image '{name}'", at()))
        };
        let Some(same) = truth(&row[same]) else {
            bail!("{}: same is true or false, not '{}'", at(), row[same]);
        };
        pairs.push(([image(a)?, image(b)?], same));
    }
    Ok(pairs)
}

fn curve(spaces: &[(&str, &Pairs)]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["space", "false_accept_rate", "true_accept_rate", "false_reject_rate"])?;
    for (space, pairs) in spaces {
        let points = pairs.roc();
        let n = points.len();
        for i in 0..n.min(ROWS) {
            let [far, tar] = points[i * (n - 1) / (n.min(ROWS) - 1).max(1)];
            csv.write_record([space, far.to_string().as_str(), &tar.to_string(), &(1.0 - tar).to_string()])?;
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}
