//! Zip and tar archives, and WebDataset's shards.

use super::arrange::{arrange, drop_classless};
use super::{Member, manifest, wrong};
use crate::data::DataError;
use crate::data::listing::{Archive, Content, Entry, FileAt, Listing, Place};
use crate::data::picture::is_picture;
use crate::files::FileError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::ZipArchive;

fn hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') && part != "." && part != ".." || part == "__MACOSX")
}

/// A zip archive of class folders, or of pictures with a manifest.
pub(super) fn zip(path: &Path, nested: bool) -> Result<Listing, DataError> {
    let (archive, members) = zip_members(path, 0)?;
    finish(path, vec![archive], members, nested)
}

pub(super) fn zip_members(path: &Path, number: u32) -> Result<(Archive, Vec<Member>), DataError> {
    let damaged = |e: zip::result::ZipError| wrong(path, format!("it is damaged or no zip archive ({e})"));
    let zip = ZipArchive::new(FileAt::open(path)?).map_err(damaged)?;
    let members = (0..zip.len())
        .filter_map(|i| Some((i, zip.name_for_index(i)?.ok()?.replace('\\', "/"))))
        .filter(|(_, name)| !name.ends_with('/') && !hidden(name))
        .map(|(i, name)| Member { name, place: Place::Zip { archive: number, member: i as u32 } })
        .collect();
    Ok((Archive { path: path.to_owned(), content: Content::Zip(zip) }, members))
}

/// Tar archives, one after the other.
pub(super) fn shards(paths: &[PathBuf], nested: bool) -> Result<Listing, DataError> {
    let (mut archives, mut members) = (Vec::new(), Vec::new());
    for path in paths {
        let number = archives.len() as u32;
        let file = plain(path)?;
        let mut tar = tar::Archive::new(BufReader::new(&*file));
        let damaged = |e: std::io::Error| wrong(path, format!("it is damaged or no tar archive ({e})"));
        for entry in tar.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let name = entry.path().map_err(damaged)?.to_string_lossy().replace('\\', "/");
            if entry.header().entry_type().is_file() && !hidden(&name) {
                let place =
                    Place::Span { archive: number, start: entry.raw_file_position(), len: entry.size() };
                members.push(Member { name: name.trim_start_matches("./").to_owned(), place });
            }
        }
        archives.push(Archive { path: path.clone(), content: Content::Plain(file) });
    }
    let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
    // The ending that WebDataset gives to classes.
    if members.iter().any(|m| m.name.ends_with(".cls")) {
        return web_dataset(first, archives, members);
    }
    finish(first, archives, members, nested)
}

/// The archive with nothing packed, so that a member can be read from where it lies.
fn plain(path: &Path) -> Result<Arc<File>, DataError> {
    let mut file = File::open(path).map_err(FileError::reading(path))?;
    let mut magic = [0; 2];
    let packed = file.read(&mut magic).map_err(FileError::reading(path))? == 2 && magic == [0x1f, 0x8b];
    file.rewind().map_err(FileError::reading(path))?;
    if !packed {
        return Ok(Arc::new(file));
    }
    // A file without a name, which is gone when it is closed.
    let mut whole = tempfile::tempfile().map_err(FileError::writing(&std::env::temp_dir()))?;
    let mut from = flate2::read::MultiGzDecoder::new(BufReader::new(file));
    std::io::copy(&mut from, &mut whole).map_err(|e| wrong(path, format!("it cannot be unpacked: {e}")))?;
    whole.rewind().map_err(FileError::reading(path))?;
    Ok(Arc::new(whole))
}

fn finish(
    path: &Path,
    archives: Vec<Archive>,
    members: Vec<Member>,
    nested: bool,
) -> Result<Listing, DataError> {
    let table = manifest::among(members.iter().map(|m| m.name.as_str())).map(str::to_owned);
    let mut listing = match table {
        Some(table) => {
            let holder = Listing { archives: archives.clone(), ..Listing::default() };
            let within = table.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut places: BTreeMap<&str, &Place> =
                members.iter().map(|m| (m.name.as_str(), &m.place)).collect();
            let text = places
                .remove(table.as_str())
                .map(|place| {
                    let entry = Entry::new(table.clone(), place.clone());
                    holder.reader().bytes(&entry).map(<[u8]>::to_vec)
                })
                .transpose()
                .map_err(|why| wrong(path, format!("{table}: {why}")))?
                .unwrap_or_default();
            if manifest::names_paths(&text) {
                let place = |name: &str| {
                    let name = if within.is_empty() { name.to_owned() } else { format!("{within}/{name}") };
                    places.get(name.as_str()).map(|p| (*p).clone())
                };
                manifest::read(&path.join(&table), &text, &place)?
            } else {
                arrange(members, nested)
            }
        }
        None => arrange(members, nested),
    };
    listing.archives = archives;
    Ok(listing)
}

/// Files of one key belong together: `000012.png` with `000012.cls`, whose text is the class.
fn web_dataset(path: &Path, archives: Vec<Archive>, members: Vec<Member>) -> Result<Listing, DataError> {
    let mut listing = Listing { archives, ..Listing::default() };
    // Keys may come again in another shard.
    let mut samples: BTreeMap<(u32, String), (Option<Member>, Option<Member>)> = BTreeMap::new();
    for member in members {
        let Place::Span { archive, .. } = member.place else { continue };
        let file = member.name.rfind('/').map_or(0, |at| at + 1);
        let dot = member.name[file..].find('.').map_or(member.name.len(), |at| file + at);
        let sample = samples.entry((archive, member.name[..dot].to_owned())).or_default();
        if is_picture(&member.name) {
            sample.0 = Some(member);
        } else if member.name.ends_with(".cls") {
            sample.1 = Some(member);
        } else {
            listing.leave_out(&member.name);
        }
    }
    let several = listing.archives.len() > 1;
    let mut entries = Vec::new();
    let mut reader = listing.reader();
    for ((archive, _), (picture, class)) in samples {
        let Some(picture) = picture else { continue };
        let class = match class {
            None => None,
            Some(class) => {
                let entry = Entry::new(class.name.clone(), class.place);
                let text =
                    reader.bytes(&entry).map_err(|why| wrong(path, format!("{}: {why}", class.name)))?;
                Some(String::from_utf8_lossy(text).trim().to_owned())
            }
        };
        let shard = listing.archives[archive as usize].path.file_name().unwrap_or_default().to_string_lossy();
        let name = if several { format!("{shard}/{}", picture.name) } else { picture.name };
        entries.push(Entry { class, ..Entry::new(name, picture.place) });
    }
    listing.entries = entries;
    drop_classless(&mut listing);
    Ok(listing)
}
