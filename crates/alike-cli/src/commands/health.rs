//! `alike health`.

use super::report::draw;
use super::{as_wanted, data_paths, refuse_existing};
use crate::args::{EncoderArgs, Global, SourceArgs};
use crate::bars::comparing;
use crate::models::OpenModel;
use crate::printer::{heading, json, line, note};
use alike::data::{Quiet, Removed, Rows, Source};
use alike::eval::{Confused, Fitness, Verdict};
use alike::files::{FileError, StagedFiles};
use alike::own_files::OwnTable;
use alike::report::{Figure, PictureRow, Shown, Tone, picture_rows};
use alike::tasks::{Cleaning, HealthOptions, HealthReport, health};
use anyhow::{bail, ensure};
use clap::Args;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike health MODEL -o health                       lists, pictures, and a cleaned table of the run's own data
  alike train --data health/cleaned.csv --out RUN2
  alike health encoder.onnx --data photos/ -o health      a data set, as any encoder sees it")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct HealthArgs {
    /// The model: a run's folder, an ONNX file with its manifest, an encoder's name (alike encoders list) or a collection
    pub(crate) model: PathBuf,
    /// Judge other data than the run was trained on: a name, a folder or a file
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder to create for the lists (.csv), a figure and cleaned.csv
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Neighbours that judge an image
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Exclude neighbours of the image's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Clean the test images too; the cleaned test is easier than new images will be
    #[arg(long)]
    pub(crate) clean_test: bool,
    /// Remove doubtful labels from cleaned.csv even if the model is not fit to judge them
    #[arg(long)]
    pub(crate) drop_doubts: bool,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

/// Lines of each list that are printed.
const PRINTED: usize = 10;
/// Images of each list that are drawn.
const DRAWN: usize = 48;

const FILES: [&str; 7] =
    ["labels.csv", "ambiguous.csv", "hardest.csv", "twice.csv", "confused.csv", "cleaned.csv", "health.png"];

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
    let model = OpenModel::new(&EncoderArgs { model: args.model.clone(), ..EncoderArgs::default() }, global)?;
    let request = args.data.as_ref().map(|what| args.source.request(what));
    let data = match &request {
        Some(request) => model.read_data(request.clone())?,
        None => model.read_own("name a data set with --data")?,
    };
    let options = HealthOptions {
        k: args.k as usize,
        leave_group: args.leave_group,
        clean_test: args.clean_test,
        drop_doubts: args.drop_doubts,
    };
    let source = match &request {
        Some(request) => Source::reopen(request, &data_paths(global), &mut Quiet).ok(),
        None => model.source(),
    };
    let nameless = source.as_ref().map_or(Some("they are no files"), Source::nameless);
    if let Some(why) = nameless.filter(|_| data.labelled) {
        let asked = [(args.clean_test, "--clean-test"), (args.drop_doubts, "--drop-doubts")];
        if let Some((_, flag)) = asked.iter().find(|a| a.0) {
            bail!("the images of {} cannot be named in a cleaned table: {why}; leave {flag} out", data.name);
        }
    }
    let n = data.train.len() + data.test.len();
    let passes = if data.train.groups.is_empty() { 1 } else { 2 };
    let pairs = passes * n * n;
    let report =
        comparing("judging labels by their neighbours", pairs, || health(&model, &data, source, &options))?;
    if let Some(out) = &args.out {
        write(out, &report, nameless, global)?;
    }
    note(global, fitness(&report.found.fitness));
    if global.json {
        return json(&report.answer());
    }
    let HealthReport { all, found, doubtful, .. } = &report;
    line(format!(
        "{}: {} images, each judged by its {} nearest others",
        data.name,
        all.labels.len(),
        (args.k as usize).min(all.labels.len().saturating_sub(1))
    ))?;
    heading(format!("labels that neighbours contradict: {}", doubtful.len()))?;
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
    heading(format!(
        "pictures that are there twice, or more often: {}; {} of them in training and test both, {} with different labels",
        found.twice.len(),
        across(&|a, b| all.is_trained(a) != all.is_trained(b)),
        across(&|a, b| all.labels[a] != all.labels[b]),
    ))?;
    for group in found.twice.iter().take(PRINTED) {
        line(format!("  {}", group.iter().map(|i| all.name(*i)).collect::<Vec<_>>().join("  =  ")))?;
    }
    heading("classes that are taken for each other")?;
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

/// Writes all files, or none.
fn write(
    out: &Path,
    report: &HealthReport<'_>,
    nameless: Option<&str>,
    global: &Global,
) -> anyhow::Result<()> {
    let mut staged = StagedFiles::default();
    stage_lists(&mut staged, out, report, global)?;
    let png = draw(&figure(report)?, Path::new(FILES[6]))?;
    staged.stage(&out.join(FILES[6]), |w| w.write_all(&png))?;
    let cleaned = out.join(FILES[5]);
    let rows = cleaned_rows(report, nameless);
    if let Ok(rows) = &rows {
        staged.stage(&cleaned, |w| {
            let (header, rows) =
                rows.rows.split_first().map_or((&[][..], &[][..]), |(h, rows)| (&h[..], rows));
            let mut csv = OwnTable::new("health", w, &header.iter().map(String::as_str).collect::<Vec<_>>())?;
            rows.iter().try_for_each(|row| csv.row(row))?;
            csv.finish().map(drop)
        })?;
    }
    staged.commit()?;
    note(global, format!("lists and pictures are in {}", out.display()));
    match rows {
        Ok(rows) => {
            say_what_is_left_out(&cleaned, &rows, report, global);
            say_what_stays(&report.cleaning, global);
        }
        Err(why) => {
            // One that another run left there would be taken for this one's.
            match std::fs::remove_file(&cleaned) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::writing(&cleaned)(e).into());
                }
                _ => {}
            }
            let data = &report.all.data.name;
            note(
                global,
                format!(
                    "no cleaned.csv is written: the images of {data} cannot be named in a table, for {why}"
                ),
            );
        }
    }
    Ok(())
}

/// The lists of doubts, of pictures that are there twice, and of classes that are taken for each other.
fn stage_lists(
    staged: &mut StagedFiles,
    out: &Path,
    report: &HealthReport<'_>,
    global: &Global,
) -> anyhow::Result<()> {
    let HealthReport { all, found, .. } = report;
    let mut table = |name: &str, header: &[&str], rows: &mut dyn Iterator<Item = Vec<String>>| {
        staged.stage(&out.join(name), |w| {
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
        let (part, class) = (all.place(i).1.to_owned(), all.class(all.labels[i]).to_owned());
        vec![(number + 1).to_string(), all.name(i), part, class]
    };
    let copies = found.twice.iter().enumerate().flat_map(|(n, group)| group.iter().map(move |i| (n, *i)));
    table(FILES[3], &["picture", "path", "part", "class"], &mut copies.map(copy))?;
    let confused = |c: &Confused| {
        let [a, b] = c.classes.map(|l| all.class(l).to_owned());
        vec![a, b, c.images.to_string(), c.share.to_string()]
    };
    table(FILES[4], &["class", "class_2", "images", "share"], &mut found.confused.iter().map(confused))?;
    Ok(())
}

/// The rows of the data without what is cleaned away, or why there can be none.
fn cleaned_rows<'a>(report: &HealthReport<'_>, nameless: Option<&'a str>) -> Result<Rows, &'a str> {
    let HealthReport { all, cleaning, .. } = report;
    match (&all.source, nameless) {
        (Some(source), None) => {
            let removed: HashSet<Removed> = cleaning.removed.iter().filter_map(|i| all.removed(*i)).collect();
            source.without(all.data, &removed)
        }
        (_, why) => Err(why.unwrap_or("they are no files")),
    }
}

/// What a cleaned table leaves out.
fn say_what_is_left_out(cleaned: &Path, rows: &Rows, report: &HealthReport<'_>, global: &Global) {
    let HealthReport { all, cleaning, .. } = report;
    let unreadable = match rows.unreadable {
        0 => String::new(),
        n => format!(", and {n} rows that cannot be read"),
    };
    let of_training = !cleaning.removed.iter().any(|i| !all.is_trained(*i));
    note(
        global,
        format!(
            "{} has {} images: left out are {} copies and {} labels in doubt{}{unreadable}",
            cleaned.display(),
            rows.rows.len() - 1,
            cleaning.without.copies,
            cleaning.without.doubts,
            if of_training { ", of the training images alone" } else { "" },
        ),
    );
}

/// What a user should know of a cleaned table.
fn say_what_stays(cleaning: &Cleaning, global: &Global) {
    if cleaning.unfit_doubts > 0 {
        note(
            global,
            format!(
                "{} labels in doubt stay in cleaned.csv, for the model is not fit to judge them; --drop-doubts leaves them out all the same",
                cleaning.unfit_doubts
            ),
        );
    }
    if cleaning.kept_of_test > 0 {
        note(
            global,
            format!(
                "{} test images that are in doubt, or there twice, stay in cleaned.csv: a test that is cleaned by the model which it judges \
                 flatters it; --clean-test leaves them out",
                cleaning.kept_of_test
            ),
        );
    }
}

fn figure(report: &HealthReport<'_>) -> Result<Figure, FileError> {
    let HealthReport { all, found, doubtful, .. } = report;
    let image = |i: usize, text: String, tone| {
        let (split, _, i) = all.place(i);
        Shown::new(&split.images, i, text, tone)
    };
    let shown = |v: &Verdict, tone| image(v.image, all.class(v.label).to_owned(), tone);
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
        .map(|i| image(*i, all.class(all.labels[*i]).to_owned(), Tone::Plain))
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
