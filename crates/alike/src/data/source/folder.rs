//! A folder: a set with a table, class folders, samples in tar archives, or just pictures.

use super::{Asked, Found, Kind, Member, Wish, archive, arrange, manifest, tables, walk};
use crate::data::listing::{Listing, Place};
use crate::data::picture::is_picture;
use crate::data::{DataError, Progress};
use crate::files;
use crate::limits::Limit;
use std::io::Read;
use std::path::{Path, PathBuf};

pub(super) struct Folder;

impl Kind for Folder {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        asked.folder().is_some()
    }

    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        folder(asked.path, wish).map(Found::from)
    }
}

fn folder(path: &Path, wish: Wish<'_>) -> Result<Listing, DataError> {
    let walk::Walked { members, left, notes } = walk::walk(path)?;
    let is_tar = |m: &Member| super::ends_in(Path::new(&m.name), archive::Tar.endings());
    if !members.iter().any(|m| is_picture(&m.name)) {
        let tars = members.iter().filter(|m| is_tar(m)).filter_map(|m| match &m.place {
            Place::File(file) => Some(file.clone()),
            _ => None,
        });
        let mut tars: Vec<PathBuf> = tars.collect();
        tars.sort();
        if !tars.is_empty() {
            return archive::shards(&tars, wish);
        }
    }
    let read = |member: &Member, most: Option<usize>| {
        let Place::File(file) = &member.place else { return Err("it is no file".to_owned()) };
        let Some(most) = most else { return files::read(file, Limit::Text).map_err(|e| e.to_string()) };
        let mut bytes = Vec::new();
        let opened = files::open(file).map_err(|e| e.to_string())?;
        opened.take(most as u64).read_to_end(&mut bytes).map(|_| bytes).map_err(|e| e.to_string())
    };
    let root = manifest::Folder::new(path);
    let files = tables::Files { root: path, members: &members, read: &read, elsewhere: &|p| root.find(p) };
    let mut listing = match tables::find(&files, &wish)? {
        tables::Found::Set(listing) => *listing,
        tables::Found::None(notes) => {
            let mut listing = arrange::arrange(members, wish.nested);
            listing.notes.splice(0..0, notes);
            listing
        }
    };
    listing.left.extend(left);
    listing.notes.extend(notes);
    Ok(listing)
}
