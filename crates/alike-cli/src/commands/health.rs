//! `alike health`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{Global, HealthArgs, PicturesArgs};
use crate::printer::{line, note};
use crate::using::Model;
use alike::data::{Dataset, Split, look_alike};
use alike::eval::{Health, Verdict, health};
use alike::files::Batch;
use alike::images::Features;
use alike::own::OwnTable;
use alike::report::{PictureRow, Shown, Tone, picture_rows};
use anyhow::ensure;
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// Lines of each list that are printed.
const PRINTED: usize = 10;
/// Images of each list that are drawn.
const DRAWN: usize = 48;

const FILES: [&str; 7] =
    ["labels.csv", "ambiguous.csv", "hardest.csv", "twice.csv", "confused.csv", "cleaned.csv", "health.png"];

/// Both parts of a data set in one row: first what is trained on.
struct All<'a> {
    data: &'a Dataset,
    labels: Vec<u32>,
}

impl All<'_> {
    fn place(&self, i: usize) -> (&Split, &'static str, usize) {
        let n = self.data.train.len();
        if i < n { (&self.data.train, "train", i) } else { (&self.data.test, "test", i - n) }
    }

    fn name(&self, i: usize) -> String {
        let (split, part, i) = self.place(i);
        split.names.get(i).cloned().unwrap_or_else(|| format!("{part}/{i}"))
    }

    fn shown(&self, i: usize, text: String, tone: Tone) -> Shown<'_> {
        let (split, _, i) = self.place(i);
        Shown::new(&split.images, i, text, tone)
    }

    fn same(&self, a: usize, b: usize) -> bool {
        let ((one, _, a), (two, _, b)) = (self.place(a), self.place(b));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        !one.images.are_floats()
            && look_alike(one.images.image(a, &mut first), two.images.image(b, &mut second))
    }

    fn class(&self, label: u32) -> &str {
        &self.data.classes[label as usize]
    }
}

pub(crate) fn run(args: &HealthArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        let files: Vec<_> = FILES.iter().map(|f| out.join(f)).collect();
        refuse_existing(&files.iter().map(|f| f.as_path()).collect::<Vec<_>>(), args.force)?;
    }
    let how = PicturesArgs::default();
    let mut model = Model::open(&args.run, &how, global)?;
    let data = model.own_data()?;
    ensure!(
        data.labelled,
        "{} has no classes, so no label can be wrong; see alike data stats for duplicates",
        data.name
    );
    let features = {
        let mut all = model.embed(&data.train.images)?.into_data();
        all.extend_from_slice(model.embed(&data.test.images)?.data());
        Features::new(model.embedder().width(), all)
    };
    let labels = [&data.train.labels[..], &data.test.labels].concat();
    ensure!(labels.len() > 1, "one image has no neighbours to judge it");
    let all = All { labels, data: &data };
    let found = health(model.tier(), &features, &all.labels, args.k as usize, |a, b| all.same(a, b));
    data.train.images.check()?;
    data.test.images.check()?;
    let doubtful: Vec<Verdict> = found.doubtful().into_iter().filter(|v| v.doubt > 0.0).collect();
    if let Some(out) = &args.out {
        write(out, &all, &found, &doubtful, global)?;
    }
    let pair = |p: &[usize; 2]| {
        let [a, b] = p.map(|i| all.place(i).1);
        let classes = p.map(|i| all.class(all.labels[i]));
        json!({ "a": all.name(p[0]), "b": all.name(p[1]), "parts": [a, b], "classes": classes })
    };
    if global.json {
        let verdict = |v: &Verdict| {
            json!({ "image": all.name(v.image), "part": all.place(v.image).1, "label": all.class(v.label),
                    "other": all.class(v.other), "doubt": v.doubt })
        };
        let confused: Vec<_> = found
            .confused
            .iter()
            .map(|c| json!({ "classes": c.classes.map(|l| all.class(l)), "images": c.images, "share": c.share }))
            .collect();
        return line(
            json!({
                "data": data.name, "images": all.labels.len(),
                "labels": found.doubtful().iter().map(verdict).collect::<Vec<_>>(),
                "twice": found.twice.iter().map(pair).collect::<Vec<_>>(),
                "confused": confused,
            })
            .to_string(),
        );
    }
    line(format!(
        "{}: {} images, each judged by its {} nearest others",
        data.name,
        all.labels.len(),
        args.k
    ))?;
    line(format!("\nlabels that neighbours contradict: {}", doubtful.len()))?;
    for v in doubtful.iter().take(PRINTED) {
        line(format!(
            "  {:.3}  {}  is '{}', looks like '{}'",
            v.doubt,
            all.name(v.image),
            all.class(v.label),
            all.class(v.other)
        ))?;
    }
    let across =
        |test: &dyn Fn(usize, usize) -> bool| found.twice.iter().filter(|[a, b]| test(*a, *b)).count();
    line(format!(
        "\npairs that look the same: {}; {} of them in training and test both, {} with different labels",
        found.twice.len(),
        across(&|a, b| all.place(a).1 != all.place(b).1),
        across(&|a, b| all.labels[a] != all.labels[b]),
    ))?;
    for [a, b] in found.twice.iter().take(PRINTED) {
        line(format!("  {}  =  {}", all.name(*a), all.name(*b)))?;
    }
    line("\nclasses that are taken for each other")?;
    for c in found.confused.iter().take(PRINTED) {
        let [a, b] = c.classes.map(|l| all.class(l));
        line(format!("  {a} and {b}: {} images, {:.2} % of both", c.images, 100.0 * c.share))?;
    }
    Ok(())
}

fn write(
    out: &Path,
    all: &All<'_>,
    found: &Health,
    doubtful: &[Verdict],
    global: &Global,
) -> anyhow::Result<()> {
    let mut batch = Batch::default();
    let mut table = |name: &str, header: &[&str], rows: &mut dyn Iterator<Item = Vec<String>>| {
        batch.stage(&out.join(name), |w| {
            let mut csv = OwnTable::new("health", w, header)?;
            for row in rows {
                csv.row(row)?;
            }
            csv.finish().map(drop)
        })
    };
    let verdict = |(rank, v): (usize, Verdict)| {
        let texts = [all.place(v.image).1, all.class(v.label), all.class(v.other)].map(str::to_owned);
        let mut row = vec![(rank + 1).to_string(), all.name(v.image)];
        row.extend(texts);
        row.extend([v.doubt, v.distance].map(|x| x.to_string()));
        row
    };
    let header = ["rank", "path", "part", "class", "other_class", "doubt", "distance"];
    table(FILES[0], &header, &mut found.doubtful().into_iter().enumerate().map(verdict))?;
    table(FILES[1], &header, &mut found.ambiguous().into_iter().enumerate().map(verdict))?;
    table(FILES[2], &header, &mut found.hardest().into_iter().enumerate().map(verdict))?;
    let pair = |[a, b]: &[usize; 2]| {
        [*a, *b]
            .iter()
            .flat_map(|i| [all.name(*i), all.place(*i).1.to_owned(), all.class(all.labels[*i]).to_owned()])
            .collect()
    };
    table(
        FILES[3],
        &["path", "part", "class", "path_2", "part_2", "class_2"],
        &mut found.twice.iter().map(pair),
    )?;
    let confused = |c: &alike::eval::Confused| {
        let [a, b] = c.classes.map(|l| all.class(l).to_owned());
        vec![a, b, c.images.to_string(), c.share.to_string()]
    };
    table(FILES[4], &["class", "class_2", "images", "share"], &mut found.confused.iter().map(confused))?;

    // What is left: without doubtful labels, and with one of those that look the same, the test's where both parts have it.
    let mut out_of: HashSet<usize> = doubtful.iter().map(|v| v.image).collect();
    out_of.extend(
        found
            .twice
            .iter()
            .map(|[a, b]| if all.place(*a).1 == "train" && all.place(*b).1 == "test" { *a } else { *b }),
    );
    let base = Path::new(&all.data.origin);
    let base = if base.is_dir() {
        Some(base)
    } else {
        base.parent().filter(|_| base.extension().is_some_and(|e| e == "csv" || e == "tsv"))
    };
    let base = base.and_then(|b| b.canonicalize().ok());
    // Training images come first, so that numbers are the same.
    let held_out: HashSet<usize> = all.data.held_out.iter().copied().collect();
    let kept = (0..all.labels.len()).filter(|i| !out_of.contains(i)).map(|i| {
        let name = all.name(i);
        let path = base.as_ref().map_or(name.clone(), |b| b.join(&name).display().to_string());
        let part = if held_out.contains(&i) { "val" } else { all.place(i).1 };
        vec![path, all.class(all.labels[i]).to_owned(), part.to_owned()]
    });
    table(FILES[5], &["path", "class", "split"], &mut kept.into_iter())?;
    let png = draw(&figure(all, found, doubtful), Path::new(FILES[6]))?;
    batch.stage(&out.join(FILES[6]), |w| w.write_all(&png))?;
    batch.commit()?;
    note(
        global,
        format!(
            "lists and pictures are in {}; {} of {} images are in cleaned.csv",
            out.display(),
            all.labels.len() - out_of.len(),
            all.labels.len()
        ),
    );
    if base.is_none() {
        note(
            global,
            format!(
                "the images of {} are no files: cleaned.csv names them as they are numbered",
                all.data.name
            ),
        );
    }
    Ok(())
}

fn figure(all: &All<'_>, found: &Health, doubtful: &[Verdict]) -> alike::report::Figure {
    let shown = |v: &Verdict, tone| all.shown(v.image, all.class(v.label).to_owned(), tone);
    let becomes = |v: &Verdict| format!("→ {}", all.class(v.other));
    let row = |heading: &str, others| PictureRow { lead: None, heading: heading.to_owned(), others };
    let labels = doubtful.iter().take(DRAWN).map(|v| shown(v, Tone::Wrong).noting(becomes(v))).collect();
    let ambiguous = found.ambiguous();
    let between = |v: &Verdict| format!("or {}", all.class(v.other));
    let ambiguous =
        ambiguous.iter().take(DRAWN / 2).map(|v| shown(v, Tone::Plain).noting(between(v))).collect();
    let hardest = found.hardest();
    let hardest = hardest.iter().take(DRAWN / 2).map(|v| shown(v, Tone::Plain)).collect();
    let twice = found
        .twice
        .iter()
        .take(DRAWN / 4)
        .flatten()
        .map(|i| all.shown(*i, all.class(all.labels[*i]).to_owned(), Tone::Plain))
        .collect();
    let panels = [
        ("Labels in doubt", vec![row("Its label, and what its neighbours say", labels)]),
        (
            "Other doubts",
            vec![
                row("Between two classes", ambiguous),
                row("Far from all others", hardest),
                row("There twice, side by side", twice),
            ],
        ),
    ];
    let caption = format!(
        "{} images judged by their nearest others in the learned space: {} labels are contradicted, {} pairs look the same.",
        all.labels.len(),
        doubtful.len(),
        found.twice.len()
    );
    picture_rows("health", "What is wrong with the data", caption, &panels)
}
