//! `alike eval few-shot MODEL`.

use super::{bracketed, percent};
use crate::args::{FewShotArgs, Global};
use crate::commands::report::draw;
use crate::commands::{places, refuse_existing, write_table};
use crate::printer::{Bars, line, note};
use crate::using::{open_run, runs, subject};
use alike::data::load_one_shot_runs;
use alike::eval::{Accuracy, Episode, Episodes, FewShot, draw_episodes_apart, few_shot, most_ways};
use alike::files::{self, FileError};
use alike::images::{Features, Images, Vectors, with_pixels};
use alike::report::mistakes;
use alike::tasks::Subject;
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::Path;

pub(super) fn run(args: &FewShotArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<&Path> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    if let Some(path) = &args.runs {
        return one_shot_runs(path, args, global);
    }
    let subject = subject(open_run(&args.model, args.subject.last)?, &args.subject, global)?;
    let data = &subject.data;
    if !data.is_open_set() && args.subject.data.is_none() {
        note(global, "these classes were trained on; name others with --data, or train with --split class");
    }
    // Without groups what may not be learned from is the picture that asks, where it is there twice.
    let groups = subject.groups(&data.test, args.leave_group)?;
    let repeated = data.test.identities.repeated().filter(|_| !args.leave_group);
    let apart = repeated.map_or(groups, |shared| shared.gallery);
    let seed = global.seed.unwrap_or(0);
    let (labels, categories) = (&data.test.labels, &data.categories);
    let how = |ways, shots| Episodes {
        ways,
        shots,
        queries: args.queries,
        count: args.episodes as usize,
        within_category: args.within_category,
    };
    let (kinds, lowered) = kinds(args, |shots| most_ways(labels, &apart, categories, how(2, shots)));
    let drawn = kinds
        .into_iter()
        .map(|(ways, shots)| draw_episodes_apart(labels, &apart, categories, how(ways, shots), seed));
    let drawn = drawn.collect::<Result<Vec<_>, _>>()?;
    if let Some(lowered) = lowered {
        note(global, lowered);
    }
    let images = data.test.images.clone();
    let features = subject.embed(&images)?;
    let results =
        drawn.iter().map(|e| both(&images, &features, e)).collect::<Result<Vec<[FewShot; 2]>, _>>()?;
    if let Some(out) = &args.out {
        let name = |i: usize| subject.data.classes[subject.data.test.labels[i] as usize].clone();
        draw_mistakes(out, &subject, (&drawn[0], &images, &features), name, global)?;
    }
    if let Some(path) = &args.csv {
        write_table(path, by_kind(&results)?.into_bytes(), global)?;
    }
    if global.json {
        let each: Vec<_> =
            results.iter().map(|[image, feature]| json!({ "image": image, "feature": feature })).collect();
        return line(
            json!({ "data": subject.data.name, "classes": subject.classes(), "few_shot": each }).to_string(),
        );
    }
    let within = if args.within_category { ", each within one category" } else { "" };
    line(format!(
        "{}: {} episodes each of {} classes{within}; accuracy, and its 95 % interval over other episodes of these classes",
        subject.data.name,
        args.episodes,
        subject.classes()
    ))?;
    line(format!("{:16} {:>24} {:>24} {:>24}", "", "pixels, 1-NN", "prototypes", "1-NN"))?;
    for [image, feature] in &results {
        let kind = format!("{}-way {}-shot", feature.ways, feature.shots);
        let [i, p, n] = [image.nearest, feature.prototypes, feature.nearest].map(interval);
        line(format!("{kind:16} {i:>24} {p:>24} {n:>24}"))?;
    }
    Ok(())
}

/// Ways and shots of the episodes that nobody named.
const WAYS: [usize; 2] = [5, 20];
const SHOTS: [usize; 2] = [1, 5];

/// The ways and shots that are played, and what was lowered of those that nobody named, in words. What was named stays, to be refused
/// with a sentence where it cannot be. `most` tells how many classes have images enough for so many shots.
fn kinds(args: &FewShotArgs, most: impl Fn(usize) -> usize) -> (Vec<(usize, usize)>, Option<String>) {
    let mut kinds = Vec::new();
    let mut left = Vec::new();
    let mut keep = |ways: usize, shots: usize, wanted: (usize, usize)| {
        if (ways, shots) != wanted {
            left.push(format!("{}-way {}-shot", wanted.0, wanted.1));
        }
        if !kinds.contains(&(ways, shots)) {
            kinds.push((ways, shots));
        }
    };
    let ways = if args.ways.is_empty() { &WAYS[..] } else { &args.ways };
    let shots = if args.shots.is_empty() { &SHOTS[..] } else { &args.shots };
    // A class has to have an image more than shots, which asks.
    let fewest =
        |wanted: usize, ways: usize| (1..=wanted).rev().find(|shots| most(*shots) >= ways).unwrap_or(1);
    for &wanted in ways {
        for &shot in shots {
            // Two classes can always be asked about; fewer are refused with a sentence.
            let way = if args.ways.is_empty() { wanted.min(most(1).max(2)) } else { wanted };
            let lower = if args.shots.is_empty() { fewest(shot, way) } else { shot };
            let way = if args.ways.is_empty() { way.min(most(lower).max(2)) } else { way };
            keep(way, lower, (wanted, shot));
        }
    }
    let played: Vec<String> = kinds.iter().map(|(ways, shots)| format!("{ways}-way {shots}-shot")).collect();
    let lowered = (!left.is_empty()).then(|| {
        format!(
            "{} classes have two images or more; instead of {}, which they do not allow, these are played: {}",
            most(1),
            left.join(", "),
            played.join(", ")
        )
    });
    (kinds, lowered)
}

/// A row a kind of episodes, space and rule.
fn by_kind(results: &[[FewShot; 2]]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "ways",
        "shots",
        "episodes",
        "space",
        "rule",
        "accuracy",
        "half_width",
        "low",
        "high",
    ])?;
    for (space, r) in results.iter().flat_map(|[image, feature]| [("image", image), ("feature", feature)]) {
        let counts = [r.ways, r.shots, r.episodes].map(|n| n.to_string());
        for (rule, a) in [("prototypes", r.prototypes), ("1-NN", r.nearest)] {
            let numbers = [a.mean, a.half_width, a.interval[0], a.interval[1]].map(|v| v.to_string());
            let names = [space, rule].map(str::to_owned);
            csv.write_record(counts.iter().chain(&names).chain(&numbers))?;
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

fn draw_mistakes(
    out: &Path,
    subject: &Subject,
    (episodes, images, features): (&[Episode], &Images, &Features),
    name: impl Fn(usize) -> String,
    global: &Global,
) -> anyhow::Result<()> {
    ensure!(!images.are_floats(), "features cannot be drawn; leave -o out");
    let mut network = subject.pixel_gradients();
    match mistakes(episodes, images, features, name, network.as_mut())? {
        Some(figure) => files::write(out, &draw(&figure, out)?)?,
        None => note(global, format!("nothing is mistaken, so {} is not drawn", out.display())),
    }
    Ok(())
}

fn both(images: &Images, features: &Features, episodes: &[Episode]) -> Result<[FewShot; 2], FileError> {
    let image = with_pixels([images], |[pixels]| few_shot(pixels, episodes))?;
    Ok([image, few_shot(Vectors::Features(features), episodes)])
}

fn interval(a: Accuracy) -> String {
    format!("{} {}", percent(a.mean), bracketed(a.interval))
}

fn one_shot_runs(path: &Path, args: &FewShotArgs, global: &Global) -> anyhow::Result<()> {
    let opened = open_run(&args.model, args.subject.last)?;
    let how = &args.subject;
    let preparation = opened.preparation();
    let sets = load_one_shot_runs(path, &preparation, &places(global), &mut Bars::new(global))?;
    let subject = Subject::new(opened, sets.data, true, &runs(&how.with), how.flip)?;
    let images = subject.data.train.images.clone();
    let features = subject.embed(&images)?;
    let episodes: Vec<Episode> = sets
        .runs
        .iter()
        .map(|r| Episode {
            support: r.support.iter().map(|i| vec![*i]).collect(),
            queries: r.queries.clone(),
        })
        .collect();
    let first = episodes.first().with_context(|| format!("{} holds no run", path.display()))?;
    let error = |vectors: Vectors<'_>| -> Vec<f64> {
        episodes.iter().map(|e| 1.0 - e.accuracy(vectors)[1]).collect()
    };
    let image = with_pixels([&images], |[pixels]| error(pixels))?;
    let feature = error(Vectors::Features(&features));
    let [i, f] = [&image, &feature].map(|e| Accuracy::of(e));
    if let Some(out) = &args.out {
        // Images have no class beyond their run; their files do.
        let name = |i: usize| {
            let name = &subject.data.train.names[i];
            let file = name.rsplit('/').next().unwrap_or(name);
            file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned()
        };
        draw_mistakes(out, &subject, (&episodes, &images, &features), name, global)?;
    }
    if let Some(path) = &args.csv {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["run", "image_error", "feature_error"])?;
        for (r, (i, f)) in sets.runs.iter().zip(image.iter().zip(&feature)) {
            csv.write_record([r.name.clone(), i.to_string(), f.to_string()])?;
        }
        write_table(path, csv.into_inner()?, global)?;
    }
    if global.json {
        let by_run: Vec<_> = sets
            .runs
            .iter()
            .zip(image.iter().zip(&feature))
            .map(|(r, (i, f))| json!({ "run": r.name, "image_error": i, "feature_error": f }))
            .collect();
        return line(json!({ "image_error": i, "feature_error": f, "runs": by_run }).to_string());
    }
    line(format!(
        "{}: {} one-shot runs of {} classes; error and its 95 % interval over runs",
        path.display(),
        episodes.len(),
        first.support.len()
    ))?;
    for (name, e) in [("pixels", i), ("embedding", f)] {
        line(format!("{name:10} {:>24}", interval(e)))?;
    }
    let worst: Vec<String> = sets
        .runs
        .iter()
        .zip(&feature)
        .filter(|(_, e)| **e > 0.0)
        .map(|(r, e)| format!("{} {:.0} %", r.name, 100.0 * e))
        .collect();
    if !worst.is_empty() {
        line(format!("errors in {}", worst.join(", ")))?;
    }
    Ok(())
}
