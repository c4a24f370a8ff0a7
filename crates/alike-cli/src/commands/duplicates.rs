//! `alike duplicates`.

use super::{refuse_existing, write_table};
use crate::args::{EncoderArgs, Global, OnErrorArg};
use crate::bars::Bars;
use crate::models::OpenModel;
use crate::printer::{json, line, note};
use alike::gallery::Gallery;
use alike::own_files::OwnTable;
use alike::tasks::{
    CopyKind, Decisions, DuplicateGroup, DuplicateMember, DuplicatePicture, DuplicatePictures,
    DuplicatesAnswer, DuplicatesOptions, Journal, LookAlikes, Moved, Undone, duplicates, link, move_to,
};
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is moved unless --move-to or --link asks for it, and nothing is ever deleted.

Kinds, from the closest on:
  bytes       the same file content
  encoded     the same picture in another encoding or size, or in grey
  turned      the same picture, rotated or mirrored
  altered     brightness or contrast changed, or edges cut
  burst       another picture of the same scene
  look-alike  another picture that the model finds as near (with --model)

Examples:
  alike duplicates photos/                              what is there more than once, and what to keep
  alike duplicates photos/ --move-to aside/             move byte copies and re-encodings away
  alike duplicates --undo aside/                        move them back
  alike duplicates photos/ --kinds bytes --link         hard links instead of byte copies
  alike duplicates photos/ --model runs/photos          look-alikes too
  alike duplicates --different a.jpg b.jpg              remember that these two are different pictures"
)]
pub(crate) struct DuplicatesArgs {
    /// Files, folders of pictures, archives, or a collection, whose vectors find look-alikes too
    #[arg(value_name = "PATH", required_unless_present_any = ["undo", "different"], conflicts_with_all = ["undo", "different"])]
    pictures: Vec<PathBuf>,
    /// Find look-alikes too, by this model: a run's folder, an ONNX file or an encoder's name
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Distance up to which pictures are look-alikes [default: below the gap between bursts and the rest, if there is one]
    #[arg(long, value_name = "DISTANCE", value_parser = distance)]
    within: Option<f64>,
    /// The kinds that are listed [default: all] and moved [default: bytes,encoded]
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<CopyKind>,
    /// Move duplicates into this folder, all but the one to keep; moved.jsonl there says what was where
    #[arg(long, value_name = "DIR")]
    move_to: Option<PathBuf>,
    /// Replace byte copies by hard links to the one that is kept
    #[arg(long, conflicts_with = "move_to")]
    link: bool,
    /// Move everything back that --move-to moved into this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["different", "move_to", "link"])]
    undo: Option<PathBuf>,
    /// Remember that two files are different pictures: they are never taken for duplicates again, wherever they lie
    #[arg(long, value_names = ["FILE", "FILE"], num_args = 2)]
    different: Vec<PathBuf>,
    /// Where such decisions are kept [default: in the user's data folder]
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Write all groups to a .csv file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// What `alike duplicates --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum DuplicatesResult {
    /// What was found and done.
    Found(Box<FoundDuplicates>),
    /// What --undo did.
    Undone(Undone),
    /// What --different remembered.
    Decided(Decided),
}

/// Groups of duplicates, and what became of them.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FoundDuplicates {
    #[serde(flatten)]
    answer: DuplicatesAnswer,
    /// Files that were moved.
    moved: Vec<Moved>,
    /// Files that are hard links to the one that is kept now.
    linked: Vec<PathBuf>,
}

/// Two pictures that are different.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Decided {
    /// The two files.
    different: Vec<PathBuf>,
    /// Where this is remembered.
    decisions: PathBuf,
}

/// Groups that a person sees.
const LISTED: usize = 50;
/// What is moved unless kinds are named: what is certainly the same picture, as it is.
const MOVED: [CopyKind; 2] = [CopyKind::Bytes, CopyKind::Encoded];

fn kind(text: &str) -> Result<CopyKind, String> {
    let names = CopyKind::ALL.map(CopyKind::name);
    CopyKind::ALL
        .into_iter()
        .find(|k| k.name() == text)
        .ok_or_else(|| format!("kinds are {}{}", names.join(", "), alike::suggest::did_you_mean(text, names)))
}

fn distance(text: &str) -> Result<f64, String> {
    let distance = text.parse().ok().filter(|d: &f64| *d >= 0.0 && d.is_finite());
    distance.ok_or_else(|| "give a distance, 0 or more".to_owned())
}

pub(crate) fn run(args: &DuplicatesArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(folder) = &args.undo {
        return undo(folder, global);
    }
    let remembered = args.decisions.clone().or_else(Decisions::usual_path);
    let mut decisions = remembered.as_deref().map_or(Ok(Decisions::default()), Decisions::read)?;
    if let [a, b] = &args.different[..] {
        let path =
            remembered.context("this system names no folder for decisions; name a file with --decisions")?;
        decisions.remember(a, b, &path)?;
        return decided(args, path, global);
    }
    refuse_existing(&args.csv.iter().map(PathBuf::as_path).collect::<Vec<_>>(), args.force)?;
    let kept = kept(args, &mut decisions)?;
    anyhow::ensure!(
        args.within.is_none() || args.model.is_some() || kept.is_some(),
        "--within is about look-alikes: name a --model that finds them, or a collection"
    );
    let (pictures, gallery) = match kept {
        Some((pictures, gallery)) => (pictures, Some(gallery)),
        None => (DuplicatePictures::open(&args.pictures)?, None),
    };
    // Before anything is compared: what cannot be done is said at once.
    let mut journal =
        args.move_to.as_ref().map(|folder| Journal::open(folder, &args.pictures)).transpose()?;
    let known = match &args.model {
        Some(model) => {
            let encoder = EncoderArgs {
                model: model.clone(),
                on_error: Some(OnErrorArg::Skip),
                ..EncoderArgs::default()
            };
            Some(OpenModel::new(&encoder, global)?.read_known(&args.pictures)?)
        }
        None => None,
    };
    // A collection's own vectors, unless another model is named.
    let gallery = known.as_ref().map(|k| &k.gallery).or(gallery.as_ref());
    let look_alikes = gallery.map(|gallery| LookAlikes { gallery, within: args.within });
    let mut options = DuplicatesOptions::default();
    (options.decisions, options.look_alikes) = (Some(&decisions), look_alikes);
    let mut answer = duplicates(&pictures, options, &mut Bars::new(global))?;
    let listed = |k: CopyKind| args.kinds.is_empty() || args.kinds.contains(&k);
    answer.groups.iter_mut().for_each(|g| g.others.retain(|m| listed(m.kind)));
    answer.groups.retain(|g| !g.others.is_empty());
    if let Some(path) = &args.csv {
        write_table(path, table(&answer)?, global)?;
    }
    let kinds = if args.kinds.is_empty() { &MOVED[..] } else { &args.kinds };
    let moved = match &mut journal {
        Some(journal) => move_to(journal, &answer, kinds, &args.pictures)?,
        None => Vec::new(),
    };
    let linked = if args.link { link(&answer)? } else { Vec::new() };
    if global.json {
        return json(&DuplicatesResult::Found(Box::new(FoundDuplicates { answer, moved, linked })));
    }
    answer.notes.iter().for_each(|text| note(global, text));
    print(&answer, args, &moved, &linked)
}

/// The pictures of the collection that is named, if one is, with their vectors. What it says of pairs is added to the decisions.
#[cfg(feature = "collections")]
fn kept(
    args: &DuplicatesArgs,
    decisions: &mut Decisions,
) -> anyhow::Result<Option<(DuplicatePictures, Gallery)>> {
    let [one] = &args.pictures[..] else { return Ok(None) };
    // A folder is one of pictures, whatever its name.
    let found = if one.is_dir() { None } else { crate::collections::find(one)? };
    let Some(kept) = found else { return Ok(None) };
    let places: Vec<String> =
        kept.collection.items(None, None, usize::MAX)?.into_iter().map(|item| item.path).collect();
    kept.collection.no_duplicates()?.into_iter().for_each(|[a, b]| decisions.add(a, b));
    Ok(Some((DuplicatePictures::at(&places)?, kept.collection.gallery(None)?)))
}

#[cfg(not(feature = "collections"))]
fn kept(_: &DuplicatesArgs, _: &mut Decisions) -> anyhow::Result<Option<(DuplicatePictures, Gallery)>> {
    Ok(None)
}

fn undo(folder: &Path, global: &Global) -> anyhow::Result<()> {
    let undone = Journal::undo(folder)?;
    if global.json {
        return json(&DuplicatesResult::Undone(undone));
    }
    line(format!("{} files are back where they were; {} were there already", undone.moved, undone.there))
}

fn decided(args: &DuplicatesArgs, decisions: PathBuf, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return json(&DuplicatesResult::Decided(Decided { different: args.different.clone(), decisions }));
    }
    let [a, b] = [0, 1].map(|i| args.different[i].display());
    line(format!("{a} and {b} are different pictures from now on; {} remembers it", decisions.display()))
}

fn table(answer: &DuplicatesAnswer) -> anyhow::Result<Vec<u8>> {
    let header = ["group", "path", "kind", "of", "turn", "height", "width", "format", "bytes", "why"];
    let mut csv = OwnTable::new("duplicates", Vec::new(), &header)?;
    for (number, group) in answer.groups.iter().enumerate() {
        let mut row = |p: &DuplicatePicture, [kind, of, turn, why]: [&str; 4]| {
            let size = [p.height.to_string(), p.width.to_string()];
            let (number, bytes) = ((number + 1).to_string(), p.bytes.to_string());
            csv.row([&number, p.name.as_str(), kind, of, turn, &size[0], &size[1], &p.format, &bytes, why])
        };
        row(&group.keep, ["keep", "", "", &group.why])?;
        for m in &group.others {
            let turn = m.turn.map(|t| t.words()).unwrap_or_default();
            row(&m.picture, [m.kind.name(), &m.of, &turn, ""])?;
        }
    }
    Ok(csv.finish()?)
}

/// What a picture is, in words.
fn words(m: &DuplicateMember, keep: &str) -> String {
    let of = if m.of == keep { String::new() } else { format!(" of {}", m.of) };
    let turn = m.turn.map(|t| format!(", {}", t.words())).unwrap_or_default();
    format!("{}{of}{turn}", m.kind.name())
}

fn print(
    answer: &DuplicatesAnswer,
    args: &DuplicatesArgs,
    moved: &[Moved],
    linked: &[PathBuf],
) -> anyhow::Result<()> {
    for DuplicateGroup { keep, why, others, .. } in answer.groups.iter().take(LISTED) {
        line(format!("keep {}: {why}", keep.name))?;
        others.iter().try_for_each(|m| line(format!("     {}  {}", m.picture.name, words(m, &keep.name))))?;
    }
    if answer.groups.len() > LISTED {
        line(format!("... {} more groups (all with --csv or --json)", answer.groups.len() - LISTED))?;
    }
    let count = |kind| answer.groups.iter().flat_map(|g| &g.others).filter(|m| m.kind == kind).count();
    let counts = CopyKind::ALL.map(|k| (count(k), k.name()));
    let counts: Vec<String> =
        counts.iter().filter(|c| c.0 > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    let what = if counts.is_empty() { "no duplicates".to_owned() } else { counts.join(", ") };
    line(format!("{} pictures, {} groups: {what}", answer.pictures, answer.groups.len()))?;
    if !answer.unreadable.is_empty() {
        line(format!("{} pictures cannot be read:", answer.unreadable.len()))?;
        answer.unreadable.iter().take(LISTED).try_for_each(|f| line(format!("  {}: {}", f.name, f.why)))?;
    }
    if let Some(folder) = &args.move_to {
        line(format!(
            "{} files were moved to {}; alike duplicates --undo {} moves them back",
            moved.len(),
            folder.display(),
            folder.display()
        ))?;
    }
    if args.link {
        line(format!("{} files are hard links now", linked.len()))?;
    }
    Ok(())
}
