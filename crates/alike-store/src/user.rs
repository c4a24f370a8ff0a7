//! Collections that have names: files of one folder of the user.

use crate::collection::ENDING;
use crate::error::StoreError;
use alike::files::FileError;
use alike::suggest::did_you_mean;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use std::path::{Path, PathBuf};

/// The variable that names another folder than the user's.
const VARIABLE: &str = "ALIKE_COLLECTIONS";

/// The folder that `ALIKE_COLLECTIONS` names, or `alike/collections` in the user's folder for data.
///
/// # Errors
///
/// If the system names no such folder.
pub fn user_folder() -> Result<PathBuf, StoreError> {
    if let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let user = choose_native_strategy().map_err(|_| StoreError::NoFolder)?;
    Ok(user.data_dir().join("alike").join("collections"))
}

/// Whether a text is a name rather than a path.
fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c))
}

/// The file of a new collection: a path that ends in `.alike` or has a slash, or a name in the user's folder.
///
/// # Errors
///
/// If it is neither.
pub fn new_path(what: &Path) -> Result<PathBuf, StoreError> {
    let text = what.to_string_lossy();
    if what.extension().is_some_and(|e| e == ENDING) || text.contains(['/', '\\']) {
        return Ok(what.to_owned());
    }
    if !is_name(&text) {
        return Err(StoreError::Name(text.into_owned()));
    }
    Ok(user_folder()?.join(format!("{text}.{ENDING}")))
}

/// The collection that a user means by a path or a name, if there is one. A collection's file goes before a name, and a name before whatever
/// else is called so: a folder of pictures, say, that the collection follows.
pub fn find(what: &Path) -> Option<PathBuf> {
    if crate::collection::is_collection(what) {
        return Some(what.to_owned());
    }
    let named = what.to_str().filter(|text| is_name(text))?;
    let path = user_folder().ok()?.join(format!("{named}.{ENDING}"));
    path.is_file().then_some(path)
}

/// The same, where one must be.
///
/// # Errors
///
/// If there is none.
pub fn get(what: &Path) -> Result<PathBuf, StoreError> {
    if let Some(found) = find(what) {
        return Ok(found);
    }
    // Opening it says what it is instead.
    if what.exists()
        || what.to_string_lossy().contains(['/', '\\'])
        || what.extension().is_some_and(|e| e == ENDING)
    {
        return Ok(what.to_owned());
    }
    let names: Vec<String> = named().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
    let hint = did_you_mean(&what.to_string_lossy(), names.iter().map(String::as_str));
    Err(StoreError::Missing { path: what.to_owned(), hint })
}

/// All collections of the user's folder, by name.
///
/// # Errors
///
/// If the folder is there and cannot be read.
pub fn named() -> Result<Vec<(String, PathBuf)>, StoreError> {
    let folder = user_folder()?;
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let reading = |e| FileError::reading(&folder)(e);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        if path.extension().is_some_and(|e| e == ENDING)
            && let Some(name) = path.file_stem().and_then(|n| n.to_str())
        {
            all.push((name.to_owned(), path));
        }
    }
    all.sort();
    Ok(all)
}
