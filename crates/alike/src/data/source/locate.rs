//! Where what a user asks for lies.

use super::named::{KNOWN_FOLDERS, NAMED};
use super::{DIGITS, DataPaths};
use crate::data::{DataError, Request};
use std::path::{Path, PathBuf};

/// The path that a user means, if there is one: where it was before, as it stands, or in the folder of data.
pub(in crate::data) fn path_of(request: &Request, paths: &DataPaths) -> Option<PathBuf> {
    let there = request.found_at.as_deref().filter(|at| is_there(at));
    there.map(Path::to_owned).or_else(|| {
        let (what, path) = (&request.what, Path::new(&request.what));
        if is_there(path) {
            return Some(path.to_owned());
        }
        let is_name =
            !what.is_empty() && path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        let folder = |name: &str| paths.folder(name).filter(|f| is_there(f));
        if is_name { folder(what) } else { None }
    })
}

/// Why nothing is found under what a user asks for.
pub(super) fn unknown(request: &Request, paths: &DataPaths) -> DataError {
    let what = request.what.as_str();
    if let Some(before) = &request.found_at {
        let here = std::path::absolute(what).ok();
        let named = paths.data_dir.as_ref().map(|dir| dir.join(what));
        let mut looked: Vec<PathBuf> = [Some(before.clone()), here, named].into_iter().flatten().collect();
        looked.dedup();
        return DataError::Moved { what: what.to_owned(), looked };
    }
    let known: Vec<&str> =
        NAMED.iter().map(|set| set.name).chain(KNOWN_FOLDERS.map(|f| f.0)).chain([DIGITS]).collect();
    let is_path = what.contains(['/', '\\', '.']);
    if KNOWN_FOLDERS.iter().any(|f| f.0 == what) {
        return DataError::Source {
            path: what.into(),
            why: format!(
                "it is not on this machine; put its files into a folder called {what} in --data-dir"
            ),
        };
    }
    DataError::Unknown {
        name: what.to_owned(),
        hint: if is_path { String::new() } else { crate::suggest::did_you_mean(what, known.iter().copied()) },
        known: known.join(", "),
    }
}

/// Whether there is something at a path, or at the first of the paths that it stands for.
fn is_there(path: &Path) -> bool {
    path.exists() || braces(path).is_some_and(|all| all.first().is_some_and(|first| first.exists()))
}

/// `train-{000..127}.tar` written out; nothing if there are no braces.
pub(super) fn braces(path: &Path) -> Option<Vec<PathBuf>> {
    let text = path.to_str()?;
    let (before, rest) = text.split_once('{')?;
    let (range, after) = rest.split_once('}')?;
    let (from, to) = range.split_once("..")?;
    let (first, last): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    let width = from.len();
    (first <= last && last - first < 100_000)
        .then(|| (first..=last).map(|i| format!("{before}{i:0width$}{after}").into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_written_out() {
        let names = braces(Path::new("a/t-{008..011}.tar")).unwrap();
        let names: Vec<_> = names.iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(names, ["a/t-008.tar", "a/t-009.tar", "a/t-010.tar", "a/t-011.tar"]);
        assert_eq!(braces(Path::new("a/t.tar")), None);
    }
}
