//! `alike health`.

use super::report::draw;
use super::{as_wanted, refuse_existing};
use crate::args::{Global, HealthArgs, PicturesArgs};
use crate::printer::{line, note};
use crate::using::OpenModel;
use alike::data::{Dataset, Of, Removed, Source, Split, look_alike};
use alike::eval::{Fitness, Health, Verdict, health};
use alike::files::{Batch, FileError};
use alike::images::Features;
use alike::own::OwnTable;
use alike::report::{PictureRow, Shown, Tone, picture_rows};
use anyhow::{bail, ensure};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// Lines of each list that are printed.
const PRINTED: usize = 10;
/// Images of each list that are drawn.
const DRAWN: usize = 48;

const FILES: [&str; 7] =
    ["labels.csv", "ambiguous.csv", "hardest.csv", "twice.csv", "confused.csv", "cleaned.csv", "health.png"];

/// All parts of a data set in one row: first what is trained on, then what is judged by.
struct All<'a> {
    data: &'a Dataset,
    /// Images of a gallery that are not among the test images.
    gallery: Split,
    labels: Vec<u32>,
    source: Option<Source>,
}

impl All<'_> {
    fn parts(&self) -> [(&Split, &'static str, Of); 3] {
        let Dataset { train, test, .. } = self.data;
        [(train, "train", Of::Train), (test, "test", Of::Test), (&self.gallery, "gallery", Of::Test)]
    }

    fn place(&self, i: usize) -> (&Split, &'static str, usize) {
        let mut i = i;
        for (split, part, _) in self.parts() {
            if i < split.len() {
                return (split, part, i);
            }
            i -= split.len();
        }
        unreachable!("an image of no part")
    }

    /// Whether an image is trained on, or validated by.
    fn is_trained(&self, i: usize) -> bool {
        i < self.data.train.len()
    }

    fn removed(&self, i: usize) -> Option<Removed> {
        let (split, _, at) = self.place(i);
        Removed::of(self.data, split, if self.is_trained(i) { Of::Train } else { Of::Test }, at)
    }

    fn name(&self, i: usize) -> String {
        let (split, part, i) = self.place(i);
        split.names.get(i).cloned().unwrap_or_else(|| format!("{part}/{i}"))
    }

    fn shown(&self, i: usize, text: String, tone: Tone) -> Shown<'_> {
        let (split, _, i) = self.place(i);
        Shown::new(&split.images, i, text, tone)
    }

    /// Whether two images are one picture: as they are kept, or as they were prepared where they are no files.
    fn same(&self, a: usize, b: usize) -> bool {
        let ((one, _, a), (two, _, b)) = (self.place(a), self.place(b));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if one.images.are_floats() {
            return false;
        }
        let (first, second) = (one.images.image(a, &mut first), two.images.image(b, &mut second));
        if first == second {
            return true;
        }
        let is_same = || self.source.as_ref().and_then(|s| s.same((one, a), (two, b)));
        // Images of arrays are as they were made: a copy is the same to the bit.
        look_alike(first, second) && is_same().unwrap_or(false)
    }

    fn class(&self, label: u32) -> &str {
        &self.data.classes[label as usize]
    }

    /// By image: what it is not judged by, where that is more than itself.
    fn apart(&self, leave_group: bool) -> anyhow::Result<Vec<u32>> {
        let mut identities = self.data.train.identities.clone();
        identities.append(&self.data.test.identities);
        identities.append(&self.gallery.identities);
        if leave_group {
            let groups: Vec<u32> = self.parts().iter().flat_map(|p| p.0.groups.iter().copied()).collect();
            ensure!(
                groups.len() == self.labels.len(),
                "{} has no groups to leave out; leave --leave-group out, or name groups in a column 'group' of a table",
                self.data.name
            );
            return Ok(groups);
        }
        Ok(identities.repeated().map_or(Vec::new(), |shared| shared.gallery))
    }
}

/// What a cleaned table is without.
struct Cleaning {
    removed: Vec<usize>,
    copies: usize,
    doubts: usize,
    /// What a user should know.
    said: Vec<String>,
}

pub(crate) fn run(args: &HealthArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        let files: Vec<_> = FILES.iter().map(|f| out.join(f)).collect();
        refuse_existing(&files.iter().map(|f| f.as_path()).collect::<Vec<_>>(), args.force)?;
    } else {
        ensure!(!args.clean_test, "--clean-test says how cleaned.csv is made; name a folder for it with -o");
        ensure!(
            !args.drop_doubts,
            "--drop-doubts says how cleaned.csv is made; name a folder for it with -o"
        );
    }
    let how = PicturesArgs::default();
    let model = OpenModel::new(&args.run, &how, global)?;
    let data = model.read_own()?;
    ensure!(
        data.labelled,
        "{} has no classes, so no label can be wrong; see alike data stats for duplicates",
        data.name
    );
    let source = model.source();
    let nameless = source.as_ref().map_or(Some("they are no files"), Source::nameless);
    if let Some(why) = nameless {
        let asked = [(args.clean_test, "--clean-test"), (args.drop_doubts, "--drop-doubts")];
        if let Some((_, flag)) = asked.iter().find(|a| a.0) {
            bail!("the images of {} cannot be named in a cleaned table: {why}; leave {flag} out", data.name);
        }
    }
    let gallery = match &data.given_gallery {
        None => data.test.select(&[]),
        Some(gallery) => {
            let asked: HashSet<&str> =
                (0..data.test.len()).filter_map(|i| data.test.identities.place(i)).collect();
            let alone = |i: &usize| gallery.identities.place(*i).is_none_or(|p| !asked.contains(p));
            gallery.select(&(0..gallery.len()).filter(alone).collect::<Vec<_>>())
        }
    };
    let features = {
        let mut all = Vec::new();
        for images in [&data.train.images, &data.test.images, &gallery.images] {
            all.extend_from_slice(model.embed(images)?.data());
        }
        Features::new(model.encoder().facts().dimension, all)
    };
    let labels = [&data.train.labels[..], &data.test.labels, &gallery.labels].concat();
    ensure!(labels.len() > 1, "one image has no neighbours to judge it");
    let all = All { labels, data: &data, gallery, source };
    let apart = all.apart(args.leave_group)?;
    let same = |a, b| all.same(a, b);
    let found = health(model.tier(), &features, &all.labels, &apart, args.k as usize, same);
    all.parts().iter().try_for_each(|p| p.0.images.check())?;
    let doubtful: Vec<Verdict> = found.doubtful().into_iter().filter(|v| v.doubt > 0.0).collect();
    let cleaning = clean(&all, &found, &doubtful, args);
    if let Some(out) = &args.out {
        write(out, (&all, &found, &doubtful), (&cleaning, nameless), global)?;
    }
    note(global, fitness(&found.fitness));
    if global.json {
        let copy = |i: &usize| json!({ "image": all.name(*i), "part": all.place(*i).1, "class": all.class(all.labels[*i]) });
        let copies = |group: &Vec<usize>| json!(group.iter().map(copy).collect::<Vec<_>>());
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
                "model": found.fitness,
                "cleaned_without": { "copies": cleaning.copies, "doubts": cleaning.doubts },
                "twice": found.twice.iter().map(copies).collect::<Vec<_>>(),
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
    let across = |differ: &dyn Fn(usize, usize) -> bool| {
        found.twice.iter().filter(|group| group.iter().any(|i| differ(group[0], *i))).count()
    };
    line(format!(
        "\npictures that are there twice, or more often: {}; {} of them in training and test both, {} with different labels",
        found.twice.len(),
        across(&|a, b| all.is_trained(a) != all.is_trained(b)),
        across(&|a, b| all.labels[a] != all.labels[b]),
    ))?;
    for group in found.twice.iter().take(PRINTED) {
        line(format!("  {}", group.iter().map(|i| all.name(*i)).collect::<Vec<_>>().join("  =  ")))?;
    }
    line("\nclasses that are taken for each other")?;
    for c in found.confused.iter().take(PRINTED) {
        let [a, b] = c.classes.map(|l| all.class(l));
        line(format!("  {a} and {b}: {} images, {:.2} % of both", c.images, 100.0 * c.share))?;
    }
    Ok(())
}

/// How far doubts can be trusted, in words.
fn fitness(f: &Fitness) -> String {
    let verdict = match (f.doubts, f.fit) {
        (0, _) => "it doubts none of them".to_owned(),
        (n, true) => format!(
            "of its {n} doubts about {} are expected to be wrong labels, the others its own mistakes",
            f.expected
        ),
        (n, false) => format!(
            "of its {n} doubts no more than about {} are expected to be wrong labels: this model is not fit to judge them",
            f.expected
        ),
    };
    format!(
        "the model gives {:.2} % of {} labels as they are, each image left out; {verdict}",
        100.0 * f.accuracy,
        f.images
    )
}

/// What a cleaned table is to be without: copies, and labels in doubt where the model is fit to doubt them; test images only if that
/// is asked for, for a test that is cleaned by the model that it judges flatters it.
fn clean(all: &All<'_>, found: &Health, doubtful: &[Verdict], args: &HealthArgs) -> Cleaning {
    let may = |i: usize| all.is_trained(i) || args.clean_test;
    let mut said = Vec::new();
    let held_out: HashSet<usize> = all.data.held_out.iter().copied().collect();
    let mut removed: HashSet<usize> = HashSet::new();
    let mut of_test = 0;
    for group in &found.twice {
        // One is kept: a test image before one that is validated by, and this before one that is trained on, so that none is
        // trained on that is judged by; among equals the one whose label is least in doubt.
        let rank = |i: usize| match i {
            i if !all.is_trained(i) => 0,
            i if held_out.contains(&i) => 1,
            _ => 2,
        };
        let first = group.iter().copied().min_by(|a, b| {
            let doubt = |i: usize| found.verdicts[i].doubt;
            rank(*a).cmp(&rank(*b)).then(doubt(*a).total_cmp(&doubt(*b))).then(a.cmp(b))
        });
        let others = group.iter().copied().filter(|i| Some(*i) != first);
        for i in others {
            if may(i) {
                removed.insert(i);
            } else {
                of_test += 1;
            }
        }
    }
    let copies = removed.len();
    let trust = found.fitness.fit || args.drop_doubts;
    let in_question: Vec<usize> = doubtful.iter().map(|v| v.image).collect();
    if trust {
        removed.extend(in_question.iter().copied().filter(|i| may(*i)));
    } else if !in_question.is_empty() {
        said.push(format!(
            "{} labels in doubt stay in cleaned.csv, for the model is not fit to judge them; --drop-doubts leaves them out all the same",
            in_question.len()
        ));
    }
    let doubts = removed.len() - copies;
    let kept = if trust { in_question.iter().filter(|i| !may(**i)).count() } else { 0 } + of_test;
    if kept > 0 {
        said.push(format!(
            "{kept} test images that are in doubt, or there twice, stay in cleaned.csv: a test that is cleaned by the model which it judges \
             flatters it; --clean-test leaves them out"
        ));
    }
    let mut removed: Vec<usize> = removed.into_iter().collect();
    removed.sort_unstable();
    Cleaning { removed, copies, doubts, said }
}

fn write(
    out: &Path,
    (all, found, doubtful): (&All<'_>, &Health, &[Verdict]),
    (cleaning, nameless): (&Cleaning, Option<&str>),
    global: &Global,
) -> anyhow::Result<()> {
    let mut batch = Batch::default();
    let mut table = |name: &str, header: &[&str], rows: &mut dyn Iterator<Item = Vec<String>>| {
        batch.stage(&out.join(name), |w| {
            let mut csv = OwnTable::new("health", Vec::new(), header)?;
            for row in rows {
                csv.row(row)?;
            }
            w.write_all(&as_wanted(csv.finish()?, global)?)
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
    let copy = |(number, i): (usize, usize)| {
        vec![
            (number + 1).to_string(),
            all.name(i),
            all.place(i).1.to_owned(),
            all.class(all.labels[i]).to_owned(),
        ]
    };
    let copies = found.twice.iter().enumerate().flat_map(|(n, group)| group.iter().map(move |i| (n, *i)));
    table(FILES[3], &["picture", "path", "part", "class"], &mut copies.map(copy))?;
    let confused = |c: &alike::eval::Confused| {
        let [a, b] = c.classes.map(|l| all.class(l).to_owned());
        vec![a, b, c.images.to_string(), c.share.to_string()]
    };
    table(FILES[4], &["class", "class_2", "images", "share"], &mut found.confused.iter().map(confused))?;

    let png = draw(&figure(all, found, doubtful), Path::new(FILES[6]))?;
    batch.stage(&out.join(FILES[6]), |w| w.write_all(&png))?;
    let cleaned = out.join(FILES[5]);
    let rows = match (&all.source, nameless) {
        (Some(source), None) => {
            let removed: HashSet<Removed> = cleaning.removed.iter().filter_map(|i| all.removed(*i)).collect();
            source.without(all.data, &removed)
        }
        (_, why) => Err(why.unwrap_or("they are no files")),
    };
    if let Ok(rows) = &rows {
        batch.stage(&cleaned, |w| {
            let (header, rows) =
                rows.rows.split_first().map_or((&[][..], &[][..]), |(h, rows)| (&h[..], rows));
            let mut csv = OwnTable::new("health", w, &header.iter().map(String::as_str).collect::<Vec<_>>())?;
            rows.iter().try_for_each(|row| csv.row(row))?;
            csv.finish().map(drop)
        })?;
    }
    batch.commit()?;
    note(global, format!("lists and pictures are in {}", out.display()));
    match rows {
        Ok(rows) => {
            let unreadable = match rows.unreadable {
                0 => String::new(),
                n => format!(", and {n} rows that cannot be read"),
            };
            note(
                global,
                format!(
                    "{} has {} images: left out are {} copies and {} labels in doubt{}{unreadable}",
                    cleaned.display(),
                    rows.rows.len() - 1,
                    cleaning.copies,
                    cleaning.doubts,
                    if cleaning.removed.iter().any(|i| !all.is_trained(*i)) {
                        ""
                    } else {
                        ", of the training images alone"
                    },
                ),
            );
            cleaning.said.iter().for_each(|text| note(global, text));
        }
        Err(why) => {
            // One that another run left there would be taken for this one's.
            match std::fs::remove_file(&cleaned) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::writing(&cleaned)(e).into());
                }
                _ => {}
            }
            note(
                global,
                format!(
                    "no cleaned.csv is written: the images of {} cannot be named in a table, for {why}",
                    all.data.name
                ),
            );
        }
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
        .take(DRAWN / 2)
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
        "{} images judged by their nearest others in the learned space: {} labels are contradicted, {} pictures are there twice or more often.",
        all.labels.len(),
        doubtful.len(),
        found.twice.len()
    );
    picture_rows("health", "What is wrong with the data", caption, &panels)
}
