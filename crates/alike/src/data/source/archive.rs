//! Zip and tar archives, as they would be if they were unpacked.

use super::arrange::{arrange, in_runs, part};
use super::locate::braces;
use super::manifest::tidy;
use super::walk::{is_png, is_system};
use super::{Asked, Found, Kind, Member, Wish, samples, tables, wrong};
use crate::data::listing::{Archive, Content, Entry, LeftOut, Listing, Part, Place, Why};
use crate::data::picture::is_picture;
use crate::data::reader::FileAt;
use crate::data::{DataError, Progress};
use crate::files::{self, FileError};
use crate::limits::Limit;
use crate::names::{from_bytes, shown};
use crate::own_files;
use rayon::prelude::*;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::ZipArchive;

/// Bytes of a name, of what a link leads to, and of what is said of a member before it: a system has no longer ones.
const LONGEST: usize = 1 << 16;

/// A zip archive.
pub(super) struct Zip;

impl Kind for Zip {
    fn endings(&self) -> &'static [&'static str] {
        &[".zip"]
    }

    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        zip(asked.path, wish).map(Found::from)
    }
}

/// A tar archive.
pub(super) struct Tar;

impl Kind for Tar {
    fn endings(&self) -> &'static [&'static str] {
        &[".tar", ".tar.gz", ".tgz"]
    }

    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        shards(&[asked.path.to_owned()], wish).map(Found::from)
    }
}

/// Several tar archives, written as one name with braces.
pub(super) struct Shards;

impl Kind for Shards {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        !asked.path.exists() && braces(asked.path).is_some()
    }

    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        shards(&braces(asked.path).unwrap_or_default(), wish).map(Found::from)
    }
}

/// Members of archives that are nobody's data.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(is_system)
}

/// A zip archive of class folders, or of pictures with a manifest.
pub(super) fn zip(path: &Path, wish: Wish<'_>) -> Result<Listing, DataError> {
    let (archive, members, left) = zip_pictures(path, 0)?;
    finish(path, vec![archive], members, left, wish)
}

/// The files of a zip archive.
pub(super) fn zip_members(path: &Path, number: u32) -> Result<(Archive, Vec<Member>), DataError> {
    zip_pictures(path, number).map(|(archive, members, _)| (archive, members))
}

/// The files of a zip archive, with the pictures that are left out.
pub(super) fn zip_pictures(
    path: &Path,
    number: u32,
) -> Result<(Archive, Vec<Member>, Vec<LeftOut>), DataError> {
    let damaged = |e: zip::result::ZipError| wrong(path, format!("it is damaged or no zip archive ({e})"));
    let zip = ZipArchive::new(FileAt::open(path)?).map_err(damaged)?;
    count(path, zip.len())?;
    let mut unpacked = Unpacked::default();
    let mut links = Vec::new();
    let mut packed = Vec::with_capacity(zip.len());
    for i in 0..zip.len() {
        let entry = zip.by_index_data(i).map_err(damaged)?;
        packed.push([entry.header_start(), entry.compressed_size(), entry.size()]);
        let raw = entry.name_raw();
        // What is no UTF-8 may be Shift-JIS, where a backslash is half of a character.
        let name = match std::str::from_utf8(raw) {
            Ok(name) => name.replace('\\', "/"),
            Err(_) if raw.contains(&b'/') => entry.name().map_err(damaged)?.into_owned(),
            Err(_) => entry.name().map_err(damaged)?.replace('\\', "/"),
        };
        let name = tidy(&name).trim_start_matches('/').to_owned();
        if raw.ends_with(b"/") || raw.ends_with(b"\\") && entry.is_dir() || is_hidden(&name) {
            continue;
        }
        let place = Place::Zip { archive: number, member: i as u32 };
        if entry.is_symlink() {
            links.push((name, place));
        } else {
            unpacked.add(name, place);
        }
    }
    check_overlap(path, packed)?;
    let archive = Archive { path: path.to_owned(), content: Content::Zip(zip) };
    if !links.is_empty() {
        let holder = Listing { archives: vec![archive.clone(); number as usize + 1], ..Listing::default() };
        let mut reader = holder.reader();
        for (name, place) in links {
            let target = reader.head(&Entry::new(name.clone(), place), LONGEST);
            let target = target.map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default();
            unpacked.link(name, &target, true);
        }
    }
    let (members, left) = unpacked.finish(path)?;
    let (members, drawn) = without_drawn(std::slice::from_ref(&archive), number, members);
    Ok((archive, members, left.into_iter().chain(drawn).collect()))
}

/// Refuses an archive whose members share their bytes and that would be too large if it were unpacked: a small file could else hold any number of large
/// pictures. Of each member, where it begins, and its size packed and unpacked.
fn check_overlap(path: &Path, mut members: Vec<[u64; 3]>) -> Result<(), DataError> {
    members.retain(|[_, packed, _]| *packed > 0);
    members.sort_unstable();
    if members.windows(2).all(|m| m[0][0].saturating_add(m[0][1]) <= m[1][0]) {
        return Ok(());
    }
    let all = members.iter().fold(0u64, |all, [_, _, size]| all.saturating_add(*size));
    let limited =
        Limit::Unpacked.check(all, || "its members overlap, and are large when they are unpacked".into());
    limited.map_err(|error| DataError::Limit { path: path.to_owned(), error })
}

/// Refuses an archive of more members than there may be images.
fn count(path: &Path, members: usize) -> Result<(), DataError> {
    let limited = Limit::Images.check(members as u64, || "it has too many members".into());
    limited.map_err(|error| DataError::Limit { path: path.to_owned(), error })
}

/// What an archive would hold if it were unpacked: of two members of a name the later, and links as what they lead to.
#[derive(Default)]
struct Unpacked {
    members: Vec<Member>,
    /// In order of names, so that what lies below a folder is found at once.
    at: BTreeMap<String, usize>,
    /// The link, and where it leads, from the archive's top.
    links: Vec<(String, String)>,
}

impl Unpacked {
    fn add(&mut self, name: String, place: Place) {
        match self.at.get(&name) {
            Some(at) => self.members[*at].place = place,
            None => {
                self.at.insert(name.clone(), self.members.len());
                self.members.push(Member { name, place });
            }
        }
    }

    /// `from_here`: a symbolic link, whose target begins in its own folder.
    fn link(&mut self, name: String, target: &str, from_here: bool) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let target = if from_here && !target.starts_with('/') {
            tidy(&format!("{folder}/{target}"))
        } else {
            tidy(target)
        };
        self.links.push((name, target.trim_start_matches('/').to_owned()));
    }

    fn finish(mut self, path: &Path) -> Result<(Vec<Member>, Vec<LeftOut>), DataError> {
        let links: HashMap<String, String> = self.links.iter().cloned().collect();
        let mut dangling = Vec::new();
        for (name, target) in std::mem::take(&mut self.links) {
            // A link may lead to a link; a circle leads nowhere.
            let mut end = target;
            for _ in 0..16 {
                match links.get(&end) {
                    Some(next) => end.clone_from(next),
                    None => break,
                }
            }
            let folder = format!("{end}/");
            if let Some(at) = self.at.get(&end) {
                let place = self.members[*at].place.clone();
                self.add(name, place);
            } else {
                let within = format!("{name}/").starts_with(&folder);
                let below: Vec<(String, Place)> = (self.at.range(folder.clone()..))
                    .map_while(|(file, at)| Some((file.strip_prefix(&folder)?, *at)))
                    .filter(|_| !within)
                    .map(|(file, at)| (format!("{name}/{file}"), self.members[at].place.clone()))
                    .collect();
                // Links to folders of links may be twice as many at every turn.
                count(path, self.members.len() + below.len())?;
                if below.is_empty() && is_picture(&name) {
                    dangling.push(name);
                }
                below.into_iter().for_each(|(name, place)| self.add(name, place));
            }
        }
        let (members, runs) = in_runs(self.members);
        let left = [LeftOut::new(Why::DanglingLink, dangling), runs];
        Ok((members, left.into_iter().filter(|l| l.count > 0).collect()))
    }
}

/// Members without the figures that Alike drew. The first archive is number `first`.
fn without_drawn(archives: &[Archive], first: u32, members: Vec<Member>) -> (Vec<Member>, Option<LeftOut>) {
    let is_own: Vec<bool> = members
        .par_iter()
        .map_init(
            || archives.to_vec(),
            |archives, m| {
                let (Place::Zip { archive, .. } | Place::Span { archive, .. }) = m.place else {
                    return false;
                };
                let archive = archives.get_mut((archive - first) as usize);
                is_png(&m.name)
                    && archive.and_then(|a| head(a, &m.place)).is_some_and(|h| own_files::is_own_png(&h))
            },
        )
        .collect();
    let mut own = is_own.iter();
    let (drawn, members): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|_| own.next() == Some(&true));
    let drawn = LeftOut::new(Why::Drawn, drawn.into_iter().map(|m| m.name));
    (members, Some(drawn).filter(|d| d.count > 0))
}

/// The first bytes of a member.
fn head(archive: &mut Archive, place: &Place) -> Option<Vec<u8>> {
    match (&mut archive.content, place) {
        (Content::Plain(file), Place::Span { start, len, .. }) => {
            let mut head = vec![0; own_files::PNG_HEAD.min(*len as usize)];
            files::read_at(file, &mut head, *start).ok()?;
            Some(head)
        }
        (Content::Zip(zip), Place::Zip { member, .. }) => {
            let mut file = zip.by_index_raw(*member as usize).ok()?;
            let method = file.compression();
            let mut raw = Vec::with_capacity(2 * own_files::PNG_HEAD);
            (&mut file).take(2 * own_files::PNG_HEAD as u64).read_to_end(&mut raw).ok()?;
            if method == zip::CompressionMethod::Stored {
                return Some(raw);
            }
            // Only so much is unpacked as is looked at.
            let mut head = Vec::with_capacity(own_files::PNG_HEAD);
            let mut inflate = flate2::Decompress::new(false);
            inflate.decompress_vec(&raw, &mut head, flate2::FlushDecompress::None).ok()?;
            Some(head)
        }
        _ => None,
    }
}

/// Tar archives, one after the other.
pub(super) fn shards(paths: &[PathBuf], wish: Wish<'_>) -> Result<Listing, DataError> {
    let (mut archives, mut members, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let number = archives.len() as u32;
        let file = plain(path)?;
        let mut unpacked = Unpacked::default();
        let may_read = Cell::new(4 * LONGEST);
        let mut tar = tar::Archive::new(Sparing { from: BufReader::new(&*file), left: &may_read });
        let damaged = |e: std::io::Error| wrong(path, format!("it is damaged or no tar archive ({e})"));
        for (i, entry) in tar.entries_with_seek().map_err(damaged)?.enumerate() {
            count(path, i)?;
            may_read.set(4 * LONGEST);
            let entry = entry.map_err(damaged)?;
            let name = member_name(&entry.path_bytes());
            if is_hidden(&name) {
                continue;
            }
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let place =
                    Place::Span { archive: number, start: entry.raw_file_position(), len: entry.size() };
                unpacked.add(name, place);
            } else if kind.is_hard_link() || kind.is_symlink() {
                let target = entry.link_name_bytes().map(|t| link_name(&t)).unwrap_or_default();
                unpacked.link(name, &target, kind.is_symlink());
            }
        }
        let (more, mut out) = unpacked.finish(path)?;
        members.extend(more);
        left.append(&mut out);
        archives.push(Archive { path: path.clone(), content: Content::Plain(file) });
    }
    let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
    let (members, drawn) = without_drawn(&archives, 0, members);
    left.extend(drawn);
    let mut listing = if samples::are(&members) {
        let mut listing = samples::open(first, archives, members)?;
        listing.left.append(&mut left);
        listing
    } else {
        finish(first, archives, members, left, wish)?
    };
    part_by_shard(&mut listing, paths);
    Ok(listing)
}

/// Reads no more between two members than is said of one. The reader of archives takes names into memory whole, and a name may be as
/// long as a file.
struct Sparing<'a, R> {
    from: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Sparing<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("a name in it is too long"));
        }
        let most = into.len().min(left);
        let n = self.from.read(&mut into[..most])?;
        self.left.set(left - n);
        Ok(n)
    }
}

impl<R: Seek> Seek for Sparing<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}

/// Where the archives' names say parts, as `train-000.tar` and `val-000.tar` do, their pictures are of these.
fn part_by_shard(listing: &mut Listing, paths: &[PathBuf]) {
    let of = |path: &PathBuf| {
        let name = shown(path.file_name().unwrap_or_default());
        let words = name.split(|c: char| !c.is_alphabetic());
        words.filter_map(part).next()
    };
    let Some(parts) = paths.iter().map(of).collect::<Option<Vec<Part>>>() else { return };
    if parts.windows(2).all(|p| p[0] == p[1]) || listing.entries.iter().any(|e| e.part.is_some()) {
        return;
    }
    for entry in &mut listing.entries {
        if let Place::Span { archive, .. } = entry.place {
            entry.part = parts.get(archive as usize).copied();
        }
    }
    listing.notes.push("the names of the archives tell its parts".into());
}

/// A member's name with slashes, and escapes for what is no text.
fn member_name(raw: &[u8]) -> String {
    tidy(&link_name(raw)).trim_start_matches('/').to_owned()
}

fn link_name(raw: &[u8]) -> String {
    match std::str::from_utf8(raw) {
        Ok(name) => name.replace('\\', "/"),
        Err(_) => from_bytes(raw.to_vec()).map_or_else(|| String::from_utf8_lossy(raw).into_owned(), shown),
    }
}

/// The archive with nothing packed, so that a member can be read from where it lies.
fn plain(path: &Path) -> Result<Arc<File>, DataError> {
    let mut file = files::open(path)?;
    let mut magic = [0; 2];
    let packed = file.read(&mut magic).map_err(FileError::reading(path))? == 2 && magic == [0x1f, 0x8b];
    file.rewind().map_err(FileError::reading(path))?;
    if !packed {
        return Ok(Arc::new(file));
    }
    // A file without a name, which is gone when it is closed.
    let mut whole = tempfile::tempfile().map_err(FileError::writing(&std::env::temp_dir()))?;
    let most = Limit::Unpacked.most();
    let mut from = flate2::read::MultiGzDecoder::new(BufReader::new(file)).take(most.saturating_add(1));
    let copied = io::copy(&mut from, &mut whole);
    if copied.map_err(|e| wrong(path, format!("it cannot be unpacked: {e}")))? > most {
        let error = Limit::Unpacked.exceeded("it is too large when it is unpacked");
        return Err(DataError::Limit { path: path.to_owned(), error });
    }
    whole.rewind().map_err(FileError::reading(path))?;
    Ok(Arc::new(whole))
}

fn finish(
    path: &Path,
    archives: Vec<Archive>,
    members: Vec<Member>,
    left: Vec<LeftOut>,
    wish: Wish<'_>,
) -> Result<Listing, DataError> {
    let holder = Listing { archives: archives.clone(), ..Listing::default() };
    let read = |member: &Member, most: Option<usize>| {
        let entry = Entry::new(member.name.clone(), member.place.clone());
        let mut reader = holder.reader();
        let bytes = match most {
            Some(most) => reader.head(&entry, most),
            None => reader.bytes(&entry),
        };
        bytes.map(|b| b.to_vec()).map_err(|e| e.to_string())
    };
    // What the archive does not hold is not there.
    let elsewhere = |p: &str| {
        let name = p.trim_start_matches('/');
        (name.to_owned(), Place::File(path.join(name)))
    };
    let files = tables::Files { root: path, members: &members, read: &read, elsewhere: &elsewhere };
    let mut listing = match tables::find(&files, &wish)? {
        tables::Found::Set(listing) => *listing,
        tables::Found::None(notes) => {
            let mut listing = arrange(members, wish.nested);
            listing.notes.splice(0..0, notes);
            listing
        }
    };
    listing.archives = archives;
    listing.left.extend(left);
    Ok(listing)
}
