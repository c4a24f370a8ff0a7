use crate::{Collection, StoreError};
use std::path::{Path, PathBuf};
/// The file of codes beside a collection.
pub fn file_of(path: &Path) -> PathBuf {
    path.with_extension("codes")
}
pub(crate) fn check_file(_: &Collection) -> Result<Option<String>, StoreError> {
    Ok(None)
}
pub(crate) fn build(_: &mut Collection) -> Result<(), StoreError> {
    Ok(())
}
