//! Enrolment: images of a class, added to a gallery that was kept.

use super::{Model, TaskError};
use crate::data::Dataset;
use crate::files::StagedFiles;
use crate::gallery::Gallery;
use crate::identity::Identities;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a gallery holds after images were added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrollAnswer {
    /// The gallery's `.npy`.
    pub gallery: PathBuf,
    /// The class of the images that were added.
    pub class: String,
    /// How many were added.
    pub added: usize,
    /// How many there are now.
    pub images: usize,
    /// Classes that there are now.
    pub classes: usize,
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmbedAnswer {
    /// The embeddings: a NumPy array, a row an image.
    pub embeddings: PathBuf,
    /// The table of the images' paths and classes.
    pub paths: PathBuf,
    /// The model's fingerprint.
    pub model: String,
    /// Images.
    pub n: usize,
    /// Numbers of an embedding.
    pub d: usize,
}

/// Embeds pictures and writes them as a gallery.
///
/// # Errors
///
/// If a picture cannot be embedded, or a file cannot be written.
pub fn embed(model: &Model, pictures: &Dataset, out: &Path) -> Result<EmbedAnswer, TaskError> {
    let gallery = model.gallery(pictures, &pictures.train)?;
    let mut batch = StagedFiles::default();
    gallery.stage(out, &mut batch)?;
    batch.commit()?;
    let [table, _] = Gallery::files(out);
    let (n, d) = (gallery.len(), gallery.features.d());
    Ok(EmbedAnswer { embeddings: out.to_owned(), paths: table, model: gallery.fingerprint, n, d })
}

/// Adds pictures of a class to a gallery, which is made if it is not there.
///
/// # Errors
///
/// If the gallery is another model's, a picture is in it already, or a file cannot be read or written. The gallery is then as it was.
pub fn enroll(
    model: &Model,
    pictures: &Dataset,
    class: &str,
    path: &Path,
) -> Result<EnrollAnswer, TaskError> {
    let there = if path.exists() { Some(model.kept(path)?) } else { None };
    let mut more = model.gallery(pictures, &pictures.train)?;
    more.set_class(class);
    let added = more.len();
    let all = match there {
        None => more,
        Some(mut all) => {
            if let Some(same) = Identities::shared(&more.identities, &all.identities) {
                let twice = same.queries.iter().position(|q| (*q as usize) < all.len()).unwrap_or(0);
                return Err(TaskError::Twice { image: more.names[twice].clone(), gallery: path.to_owned() });
            }
            all.append(&more);
            all
        }
    };
    let mut batch = StagedFiles::default();
    all.stage(path, &mut batch)?;
    batch.commit()?;
    let (images, classes) = (all.len(), all.classes.len());
    Ok(EnrollAnswer { gallery: path.to_owned(), class: class.to_owned(), added, images, classes })
}
