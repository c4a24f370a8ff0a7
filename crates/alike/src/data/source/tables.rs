//! Which table among the files of a source is the set's: one that a user can see is meant, and never one that Alike wrote.
//!
//! Looked at are the tables that lie highest. `manifest` and `metadata` (`.csv`, `.tsv`, `.jsonl`) are taken, the latter in several
//! folders too, as Hugging Face has it; `train`, `val` and `test` together, as parts; else a single one that names most of the
//! pictures. What is taken is announced, and what looks as if it should be is too, with the reason why it is not.

use super::arrange::part;
use super::manifest::{add, has_classes, has_meaning, has_paths, spellings, tidy};
use super::{Member, Wish, wrong};
use crate::data::DataError;
use crate::data::listing::{LeftOut, Listing, Part, Place, Why};
use crate::data::picture::is_picture;
use crate::data::table::{Table, is_table};
use crate::names::shown;
use crate::own_files;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// Tables that are looked at.
const MOST: usize = 64;
/// Bytes that hold any header.
const HEAD: usize = 1 << 16;

/// How a member is read.
type Read<'a> = dyn Fn(&Member, Option<usize>) -> Result<Vec<u8>, String> + 'a;

/// Files of a source, and how they are read.
pub(super) struct Files<'a> {
    /// The folder, or the archive.
    pub(super) root: &'a Path,
    pub(super) members: &'a [Member],
    /// The first bytes of a member: so many, or all.
    pub(super) read: &'a Read<'a>,
    /// Where a path leads that is no member.
    pub(super) elsewhere: &'a dyn Fn(&str) -> (String, Place),
}

/// What was found among the files.
pub(super) enum Found {
    /// The set, as a table names it.
    Set(Box<Listing>),
    /// There is no such table; what should be said of those that there are.
    None(Vec<String>),
}

struct Candidate<'a> {
    member: &'a Member,
    /// Its folder, with a slash.
    within: &'a str,
    /// Its name without the ending, in small letters.
    stem: String,
}

impl Candidate<'_> {
    fn is_named(&self) -> bool {
        matches!(self.stem.as_str(), "manifest" | "metadata")
    }
}

fn candidate(member: &Member) -> Candidate<'_> {
    let at = member.name.rfind('/').map_or(0, |at| at + 1);
    let (within, file) = member.name.split_at(at);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_ascii_lowercase();
    Candidate { member, within, stem }
}

/// The set that a table among the files names.
pub(super) fn find(files: &Files<'_>, wish: &Wish<'_>) -> Result<Found, DataError> {
    let mut by_depth: BTreeMap<usize, Vec<&Member>> = BTreeMap::new();
    for member in files.members.iter().filter(|m| is_table(&m.name)) {
        by_depth.entry(member.name.matches('/').count()).or_default().push(member);
    }
    let mut notes = Vec::new();
    let (mut own_tables, mut looked) = (Vec::new(), 0);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for (_, mut level) in by_depth {
        level.sort_by(|a, b| a.name.cmp(&b.name));
        let mut level: Vec<Candidate<'_>> = level.into_iter().map(candidate).collect();
        if level.len() + looked > MOST {
            // One for every picture, say.
            level.retain(Candidate::is_named);
            level.truncate(MOST);
        }
        looked += level.len();
        let mut seemed = false;
        for c in level {
            let path = Path::new(&c.member.name);
            let head = (files.read)(c.member, Some(HEAD))
                .map_err(|why| wrong(files.root, format!("{}: {why}", c.member.name)))?;
            let columns = Table::columns_of(path, &head);
            if own_files::is_own_table(columns.iter().map(String::as_str)) {
                own_tables.push(c.member.name.clone());
                continue;
            }
            // Those of Alike that name no files, out of their folders.
            if columns == ["part", "class", "name"] || columns == ["name", "why"] {
                continue;
            }
            let looks = has_paths(&columns) || has_classes(&columns) || c.is_named();
            // Objects a line are written for many ends.
            if !looks || (!c.is_named() && c.member.name.to_ascii_lowercase().ends_with(".jsonl")) {
                continue;
            }
            seemed = true;
            if !has_paths(&columns) {
                notes.push(passed_over(
                    &c.member.name,
                    "it has no column of paths (path, file_name, file, image or the like)",
                ));
            } else if !c.is_named() && !has_meaning(&columns) {
                notes.push(passed_over(&c.member.name, "it has neither classes nor parts nor groups"));
            } else {
                candidates.push(c);
            }
        }
        if seemed {
            break;
        }
    }
    if !own_tables.is_empty() {
        let s = if own_tables.len() == 1 { "a table" } else { "tables" };
        notes.push(format!("not looked at: {s} that Alike wrote: {}", own_tables.join(", ")));
    }
    let chosen = choose(candidates, files.root, &mut notes);
    if chosen.is_empty() {
        return Ok(Found::None(notes));
    }
    take(files, &chosen, notes, wish)
}

fn passed_over(name: &str, why: &str) -> String {
    format!("{name} is not used as the set's table: {why}")
}

/// Of several the ones that are meant, each with the part of its images where its name says so.
fn choose<'a>(
    candidates: Vec<Candidate<'a>>,
    root: &Path,
    notes: &mut Vec<String>,
) -> Vec<(Candidate<'a>, Option<Part>)> {
    let (mut named, others): (Vec<Candidate<'_>>, Vec<Candidate<'_>>) =
        candidates.into_iter().partition(Candidate::is_named);
    if !named.is_empty() {
        let mut kept: Vec<(Candidate<'_>, Option<Part>)> = Vec::new();
        // A manifest before metadata; of equals the first by name.
        named.sort_by(|a, b| (a.within, &a.stem).cmp(&(b.within, &b.stem)));
        for c in named {
            match kept.iter().find(|k| k.0.within == c.within) {
                Some(k) => notes.push(passed_over(&c.member.name, &format!("{} is", k.0.member.name))),
                None => {
                    let folder = c.within.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                    let part = part(folder);
                    kept.push((c, part));
                }
            }
        }
        let first = kept[0].0.member.name.clone();
        notes.extend(others.iter().map(|c| passed_over(&c.member.name, &format!("{first} is"))));
        return kept;
    }
    let of_part = |c: &Candidate<'_>| part(&c.stem);
    if others.len() == 1 {
        return others.into_iter().map(|c| (c, None)).collect();
    }
    // A table a part.
    if others.len() > 1
        && others.iter().all(|c| of_part(c).is_some() && c.within == others[0].within)
        && others.iter().filter(|c| of_part(c) == Some(Part::Train)).count() == 1
    {
        return others.into_iter().map(|c| (of_part(&c), c)).map(|(part, c)| (c, part)).collect();
    }
    if let [first, second, rest @ ..] = &others[..] {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        let path = crate::names::shell_path(root.join(&first.member.name));
        notes.push(format!(
            "{}, {}{more} each could be the set's table, so none is used; name the one that is meant: --data {path}",
            first.member.name, second.member.name
        ));
    }
    Vec::new()
}

/// The rows of the tables, if they name what is there.
fn take(
    files: &Files<'_>,
    chosen: &[(Candidate<'_>, Option<Part>)],
    mut notes: Vec<String>,
    wish: &Wish<'_>,
) -> Result<Found, DataError> {
    let pictures: HashMap<&str, &Place> =
        files.members.iter().filter(|m| !is_table(&m.name)).map(|m| (m.name.as_str(), &m.place)).collect();
    let mut listing = Listing::default();
    for (c, part) in chosen {
        let path = files.root.join(&c.member.name);
        let read = (files.read)(c.member, None).map_err(|why| wrong(&path, why));
        let table = read.and_then(|bytes| Table::parse(&path, &bytes));
        let find = |p: &str| {
            let mut spelt = vec![p.to_owned()];
            if p.contains('\\') || !p.is_ascii() {
                spelt.extend(spellings(p).iter().map(shown));
            }
            for p in &spelt {
                let below = tidy(&format!("{}{p}", c.within));
                if let Some((name, place)) = pictures.get_key_value(below.as_str()) {
                    return ((*name).to_owned(), (*place).clone());
                }
            }
            // From the top on, or from the root of the system that they were packed on.
            for p in &spelt {
                if let Some((name, place)) = pictures.get_key_value(tidy(p).trim_start_matches('/')) {
                    return ((*name).to_owned(), (*place).clone());
                }
            }
            let p = if p.contains('/') { p.to_owned() } else { p.replace('\\', "/") };
            (files.elsewhere)(&if Path::new(&p).is_absolute() {
                p
            } else {
                tidy(&format!("{}{p}", c.within))
            })
        };
        let added = table.and_then(|t| add(&mut listing, &path, &c.member.name, &t, *part, &find, wish));
        match added {
            Ok(()) => {}
            // Nobody said that this one is the set's.
            Err(e) if !c.is_named() && wish.column.is_none() => {
                notes.push(passed_over(&c.member.name, &e.to_string()));
                return Ok(Found::None(notes));
            }
            Err(e) => return Err(e),
        }
    }
    let found: HashSet<&str> =
        listing.entries.iter().map(|e| e.name.as_str()).filter(|n| pictures.contains_key(n)).collect();
    let unnamed: Vec<String> = {
        let rest = files.members.iter().filter(|m| is_picture(&m.name) && !found.contains(m.name.as_str()));
        let mut rest: Vec<String> = rest.map(|m| m.name.clone()).collect();
        rest.sort();
        rest
    };
    let name = &chosen[0].0.member.name;
    let there = found.len();
    let elsewhere = |e: &crate::data::Entry| matches!(&e.place, Place::File(f) if !found.contains(e.name.as_str()) && f.exists());
    let none_is_there = there == 0 && !listing.entries.iter().take(100).any(elsewhere);
    if none_is_there && !unnamed.is_empty() {
        let first = listing.entries.first().map_or("", |e| e.name.as_str());
        let why = format!(
            "none of the {} files that it names is there; the first is {first}",
            listing.entries.len()
        );
        if chosen[0].0.is_named() {
            return Err(wrong(&files.root.join(name), why));
        }
        notes.push(passed_over(name, &why));
        return Ok(Found::None(notes));
    }
    if !chosen[0].0.is_named() && there < unnamed.len() {
        let path = crate::names::shell_path(files.root.join(name));
        let of = there + unnamed.len();
        notes.push(passed_over(
            name,
            &format!("it names only {there} of {of} pictures; if it is meant, say so: --data {path}"),
        ));
        return Ok(Found::None(notes));
    }
    listing.number_repeated();
    let others = files.members.len() - there - unnamed.len();
    listing.ignored = others.saturating_sub(chosen.len());
    if !unnamed.is_empty() {
        listing.left.push(LeftOut::new(Why::NotInTable, unnamed));
    }
    notes.append(&mut listing.notes);
    listing.notes = notes;
    Ok(Found::Set(Box::new(listing)))
}
