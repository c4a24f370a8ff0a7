//! `alike eval RUN few-shot`.

use crate::args::{FewShotArgs, Global};
use crate::commands::report::draw;
use crate::commands::{places, refuse_existing};
use crate::judged::{Opened, Subject};
use crate::printer::{Bars, line, note};
use alike::data::load_one_shot_runs;
use alike::eval::{Accuracy, Episode, Episodes, FewShot, draw_episodes_apart, few_shot};
use alike::files;
use alike::images::{Features, Images, Vectors};
use alike::report::mistakes;
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::Path;

pub(super) fn run(args: &FewShotArgs, opened: Opened, global: &Global) -> anyhow::Result<()> {
    args.subject.check()?;
    let files: Vec<&Path> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    if let Some(path) = &args.runs {
        return one_shot_runs(path, args, opened, global);
    }
    let mut subject = Subject::of(opened, &args.subject, global)?;
    let data = &subject.data;
    if !data.is_open_set() && args.subject.data.is_none() {
        note(global, "these classes were trained on; name others with --data, or train with --split class");
    }
    // Without groups what may not be learned from is the picture that asks, where it is there twice.
    let groups = subject.groups(&data.test, args.leave_group)?;
    let repeated = data.test.identities.repeated().filter(|_| !args.leave_group);
    let apart = repeated.map_or(groups, |shared| shared.gallery);
    let seed = global.seed.unwrap_or(0);
    let mut drawn = Vec::new();
    let mut all_ways = args.ways.clone();
    if all_ways.is_empty() {
        let classes = subject.classes();
        all_ways = [5, 20].into_iter().filter(|ways| *ways <= classes).collect();
        // Two classes can always be asked about; fewer are refused with a sentence.
        if all_ways.is_empty() {
            all_ways.push(2);
        }
    }
    for ways in all_ways {
        for &shots in &args.shots {
            let how = Episodes {
                ways,
                shots,
                queries: args.queries,
                count: args.episodes as usize,
                within_category: args.within_category,
            };
            drawn.push(draw_episodes_apart(&data.test.labels, &apart, &data.categories, how, seed)?);
        }
    }
    let images = data.test.images.clone();
    let features = subject.embed(&images)?;
    let results: Vec<[FewShot; 2]> = drawn.iter().map(|e| both(&images, &features, e)).collect();
    images.check()?;
    if let Some(out) = &args.out {
        let name = |i: usize| subject.data.classes[subject.data.test.labels[i] as usize].clone();
        draw_mistakes(out, &subject, (&drawn[0], &images, &features), name, global)?;
    }
    if let Some(path) = &args.csv {
        files::write(path, by_kind(&results)?.as_bytes())?;
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
        "{}: {} episodes each of {} classes{within}; accuracy and its 95 % interval",
        subject.data.name,
        args.episodes,
        subject.classes()
    ))?;
    line(format!("{:16} {:>20} {:>20} {:>20}", "", "pixels, 1-NN", "prototypes", "1-NN"))?;
    for [image, feature] in &results {
        let kind = format!("{}-way {}-shot", feature.ways, feature.shots);
        let [i, p, n] = [image.nearest, feature.prototypes, feature.nearest].map(interval);
        line(format!("{kind:16} {i:>20} {p:>20} {n:>20}"))?;
    }
    Ok(())
}

/// A row a kind of episodes, space and rule.
fn by_kind(results: &[[FewShot; 2]]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["ways", "shots", "episodes", "space", "rule", "accuracy", "half_width"])?;
    for (space, r) in results.iter().flat_map(|[image, feature]| [("image", image), ("feature", feature)]) {
        let counts = [r.ways, r.shots, r.episodes].map(|n| n.to_string());
        for (rule, a) in [("prototypes", r.prototypes), ("1-NN", r.nearest)] {
            let numbers = [a.mean, a.half_width].map(|v| v.to_string());
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
    match mistakes(episodes, images, features, name, network.as_mut()) {
        Some(figure) => files::write(out, &draw(&figure, out)?)?,
        None => note(global, format!("nothing is mistaken, so {} is not drawn", out.display())),
    }
    Ok(())
}

fn both(images: &Images, features: &Features, episodes: &[Episode]) -> [FewShot; 2] {
    [few_shot(Vectors::Pixels(images), episodes), few_shot(Vectors::Features(features), episodes)]
}

fn interval(a: Accuracy) -> String {
    format!("{:.2} ± {:.2} %", 100.0 * a.mean, 100.0 * a.half_width)
}

fn one_shot_runs(path: &Path, args: &FewShotArgs, opened: Opened, global: &Global) -> anyhow::Result<()> {
    let how = &args.subject;
    let preparation = opened.preparation();
    let runs = load_one_shot_runs(path, &preparation, &places(global), &mut Bars::new(global))?;
    let mut subject = Subject::new(opened, runs.data, &how.with, how.flip)?;
    let images = subject.data.train.images.clone();
    let features = subject.embed(&images)?;
    let episodes: Vec<Episode> = runs
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
    let (image, feature) = (error(Vectors::Pixels(&images)), error(Vectors::Features(&features)));
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
        for (r, (i, f)) in runs.runs.iter().zip(image.iter().zip(&feature)) {
            csv.write_record([r.name.clone(), i.to_string(), f.to_string()])?;
        }
        files::write(path, &csv.into_inner()?)?;
    }
    if global.json {
        let by_run: Vec<_> = runs
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
        line(format!("{name:10} {:>16}", interval(e)))?;
    }
    let worst: Vec<String> = runs
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
