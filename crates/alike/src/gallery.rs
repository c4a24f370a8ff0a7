//! Embedded images, kept: what searching, classifying and enrolment work with.
//!
//! | file | content |
//! |---|---|
//! | `NAME.npy` | `n x d` floats, a row an image |
//! | `NAME.csv` | `row,path,class,place,written_by`, and `group` before the last where images have groups; the class is empty where there is none, `place` is the canonical path, by which an image is known again |
//! | `NAME.json` | the model's fingerprint, `n` and `d` |
//!
//! The fingerprint ([`crate::model::Checkpoint::fingerprint`], or several of them) tells whose embeddings they are: those of different models cannot be compared.

use crate::data::{Dataset, NO_CLASS, Split};
use crate::files::{self, FileError, StagedFiles};
use crate::identity::{self, Identities};
use crate::images::Features;
use crate::limits::Limit;
use crate::npy::{Header, write_header};
use crate::own_files::OwnTable;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Embedded images with their names, and their classes where they have any.
///
/// ```
/// use alike::data::{DigitCounts, digits};
/// use alike::gallery::Gallery;
/// use alike::images::Features;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let npy = folder.path().join("gallery.npy");
/// let data = digits(DigitCounts { train: 3, test: 0 }, 1);
/// // As an encoder would have them, whose fingerprint is kept.
/// let features = Features::new(2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
/// let gallery = Gallery::new(&data, &data.train, features, "model 1".into());
/// gallery.save(&npy)?;
/// assert_eq!(Gallery::read(&npy, "model 1", 2)?.features, gallery.features);
/// assert!(Gallery::read(&npy, "model 2", 2).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    /// `n x d` embeddings.
    pub features: Features,
    /// `n` names: paths, as they were given.
    pub names: Vec<String>,
    /// `n` numbers, each below the number of `classes`; nothing for an image without a class.
    pub labels: Vec<Option<u32>>,
    /// Names of classes.
    pub classes: Vec<String>,
    /// Which `n` pictures these are.
    pub identities: Identities,
    /// `n` names of groups, empty for an image of no group; none at all where no image is of one.
    pub groups: Vec<String>,
    /// Whose embeddings these are.
    pub fingerprint: String,
}

/// A gallery cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its files do not make sense.
    #[error("{} cannot be used as a gallery: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Facts {
    model: String,
    n: usize,
    d: usize,
}

impl Gallery {
    /// The images of a part of a data set, embedded by the model of a fingerprint.
    ///
    /// # Panics
    ///
    /// If there are not as many embeddings as images.
    pub fn new(data: &Dataset, split: &Split, features: Features, fingerprint: String) -> Gallery {
        assert_eq!(features.len(), split.len(), "gallery: an embedding for each image");
        let name = |i: usize| split.names.get(i).cloned().unwrap_or_else(|| format!("{}/{i}", data.name));
        // Some images may have no class beside others that do; theirs is the last.
        let classless = data.classes.iter().position(|c| c == NO_CLASS).map(|at| at as u32);
        let label = |l: &u32| Some(*l).filter(|l| data.labelled && Some(*l) != classless);
        let is_class = |c: &&String| data.labelled && *c != NO_CLASS;
        Gallery {
            features,
            names: (0..split.len()).map(name).collect(),
            labels: split.labels.iter().map(label).collect(),
            classes: data.classes.iter().filter(is_class).cloned().collect(),
            identities: split.identities.clone(),
            groups: split.groups.iter().map(|g| data.group_names[*g as usize].clone()).collect(),
            fingerprint,
        }
    }

    /// Puts images into an order that does not depend on how they were listed, and classes by name.
    ///
    /// Returns, by new place, where each image stood before.
    pub fn sort(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        let key = |i: &usize| (self.identities.place(*i), &self.names[*i], self.class(*i));
        order.sort_by(|a, b| key(a).cmp(&key(b)).then(a.cmp(b)));
        let mut classes = self.classes.clone();
        classes.sort();
        let label = |l: u32| classes.binary_search(&self.classes[l as usize]).unwrap_or(0) as u32;
        let labels = order.iter().map(|i| self.labels[*i].map(label)).collect();
        *self = Gallery {
            features: self.features.select(&order),
            names: order.iter().map(|i| self.names[*i].clone()).collect(),
            labels,
            identities: self.identities.select(&order),
            groups: self.groups_at(&order),
            classes,
            fingerprint: std::mem::take(&mut self.fingerprint),
        };
        order
    }

    fn groups_at(&self, indices: &[usize]) -> Vec<String> {
        indices.iter().filter_map(|i| self.groups.get(*i).cloned()).collect()
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The class of image `i`, if it has one.
    pub fn class(&self, i: usize) -> Option<&str> {
        self.labels[i].map(|l| self.classes[l as usize].as_str())
    }

    /// Gives all images one class.
    pub fn set_class(&mut self, class: &str) {
        self.classes = vec![class.to_owned()];
        self.labels = vec![Some(0); self.len()];
    }

    /// The images at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Gallery {
        Gallery {
            features: self.features.select(indices),
            names: indices.iter().map(|i| self.names[*i].clone()).collect(),
            labels: indices.iter().map(|i| self.labels[*i]).collect(),
            identities: self.identities.select(indices),
            groups: self.groups_at(indices),
            classes: self.classes.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Only the images that have a class, and their labels.
    pub fn labelled(&self) -> (Gallery, Vec<u32>) {
        let rows: Vec<usize> = (0..self.len()).filter(|i| self.labels[*i].is_some()).collect();
        (self.select(&rows), rows.iter().filter_map(|i| self.labels[*i]).collect())
    }

    /// Adds the images of another: classes of the same name are the same.
    ///
    /// # Panics
    ///
    /// If the two are of different models.
    pub fn append(&mut self, other: &Gallery) {
        assert_eq!(self.fingerprint, other.fingerprint, "gallery: embeddings of different models");
        let label: Vec<u32> = other
            .classes
            .iter()
            .map(|name| {
                self.classes.iter().position(|c| c == name).unwrap_or_else(|| {
                    self.classes.push(name.clone());
                    self.classes.len() - 1
                }) as u32
            })
            .collect();
        let mut data = std::mem::replace(&mut self.features, Features::new(1, Vec::new())).into_data();
        data.extend_from_slice(other.features.data());
        self.features = Features::new(other.features.d(), data);
        if !(self.groups.is_empty() && other.groups.is_empty()) {
            let (before, more) = (self.names.len(), other.names.len());
            self.groups.resize(before, String::new());
            self.groups.extend_from_slice(&other.groups);
            self.groups.resize(before + more, String::new());
        }
        self.names.extend_from_slice(&other.names);
        self.identities.append(&other.identities);
        self.labels.extend(other.labels.iter().map(|l| l.map(|l| label[l as usize])));
    }

    /// The files of a gallery whose embeddings are in `npy`: the table of names, and the model's fingerprint.
    pub fn files(npy: &Path) -> [PathBuf; 2] {
        [npy.with_extension("csv"), npy.with_extension("json")]
    }

    /// Whether a file of embeddings has the others beside it.
    pub fn is(npy: &Path) -> bool {
        npy.extension().is_some_and(|e| e == "npy") && npy.with_extension("json").is_file()
    }

    /// Writes the three files: `npy` and those beside it ([`Gallery::files`]), all or none of them.
    ///
    /// # Errors
    ///
    /// If one cannot be written.
    pub fn save(&self, npy: &Path) -> Result<(), FileError> {
        let mut batch = StagedFiles::default();
        self.stage(npy, &mut batch)?;
        batch.commit()
    }

    /// Stages the three files, to appear together with others.
    ///
    /// # Errors
    ///
    /// If one cannot be written.
    pub fn stage(&self, npy: &Path, batch: &mut StagedFiles) -> Result<(), FileError> {
        let (n, d) = (self.features.len(), self.features.d());
        batch.stage(npy, |out| {
            write_header(out, &[n, d])?;
            self.features.data().iter().try_for_each(|v| out.write_all(&v.to_le_bytes()))
        })?;
        let [table, facts] = Gallery::files(npy);
        batch.stage(&table, |out| {
            let grouped = !self.groups.is_empty();
            let header = ["row", "path", "class", "place", "group"];
            let mut table = OwnTable::new("embed", out, &header[..if grouped { 5 } else { 4 }])?;
            for (i, name) in self.names.iter().enumerate() {
                let place = self.identities.place(i).unwrap_or_default();
                let row = [i.to_string().as_str(), name, self.class(i).unwrap_or_default(), place]
                    .map(str::to_owned);
                table.row(row.iter().chain(self.groups.get(i)))?;
            }
            table.finish().map(drop)
        })?;
        let text = Facts { model: self.fingerprint.clone(), n, d };
        batch.stage(&facts, |out| serde_json::to_writer(out, &text).map_err(std::io::Error::other))
    }

    /// Reads a gallery of `d` numbers an image, and refuses one whose embeddings are another model's.
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged, or does not belong to the others.
    pub fn read(npy: &Path, fingerprint: &str, d: usize) -> Result<Gallery, GalleryError> {
        let wrong = |path: &Path, why: String| GalleryError::Content { path: path.to_owned(), why };
        let [table, facts] = Gallery::files(npy);
        let text = files::read_text(&facts)?;
        let of: Facts = serde_json::from_str(&text)
            .map_err(|e| wrong(&facts, format!("it was not written by alike embed ({e})")))?;
        if of.model != fingerprint {
            let why = "its embeddings are another model's, and cannot be compared with this one's; embed the images anew with alike embed";
            return Err(wrong(npy, why.to_owned()));
        }
        let features = read_vectors(npy)?;
        let expected = [of.n, of.d];
        if [features.len(), features.d()] != expected || of.d != d {
            return Err(wrong(
                npy,
                format!(
                    "it has shape {:?}, not {expected:?} as {} says",
                    [features.len(), features.d()],
                    facts.display()
                ),
            ));
        }
        let text = files::read(&table, Limit::Array)?;
        let (mut names, mut labels, mut classes) = (Vec::new(), Vec::new(), Vec::<String>::new());
        let mut places = Vec::new();
        let mut number: HashMap<String, u32> = HashMap::new();
        let mut groups = Vec::new();
        let mut csv = csv::Reader::from_reader(&text[..]);
        let columns = csv.headers().map_err(|e| wrong(&table, e.to_string()))?.clone();
        let grouped = columns.iter().position(|c| c == "group");
        for record in csv.records() {
            let record = record.map_err(|e| wrong(&table, e.to_string()))?;
            let (Some(name), Some(class)) = (record.get(1), record.get(2)) else {
                return Err(wrong(&table, "its columns are not row, path and class".into()));
            };
            names.push(name.to_owned());
            groups.extend(grouped.map(|at| record.get(at).unwrap_or_default().to_owned()));
            // Galleries of version 0.1 have no places: a path that leads to a file is one.
            let known = record.get(3).filter(|p| !p.is_empty()).map(str::to_owned);
            let found =
                || Path::new(name).canonicalize().map_or(name.to_owned(), |p| p.display().to_string());
            places.push(known.unwrap_or_else(found));
            labels.push((!class.is_empty()).then(|| {
                *number.entry(class.to_owned()).or_insert_with(|| {
                    classes.push(class.to_owned());
                    classes.len() as u32 - 1
                })
            }));
        }
        if names.len() != of.n {
            return Err(wrong(
                &table,
                format!("it names {} images, but there are {} embeddings", names.len(), of.n),
            ));
        }
        let keys = names.iter().map(|n| identity::key(n, ""));
        let identities = Identities::new(keys.zip(places.iter().map(String::as_str)));
        Ok(Gallery { features, names, labels, classes, identities, groups, fingerprint: of.model })
    }
}

/// Reads vectors: a NumPy array of floats of 32 bits, a row each.
///
/// # Errors
///
/// If it is something else, or holds what is no finite number.
pub fn read_vectors(npy: &Path) -> Result<Features, GalleryError> {
    let wrong = |path: &Path, why: String| GalleryError::Content { path: path.to_owned(), why };
    let bytes = files::read(npy, Limit::Array)?;
    let header = Header::read(&bytes).map_err(|why| wrong(npy, format!("it {why}")))?;
    let dims: Option<Vec<usize>> = header.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let Some([n, d]) = dims.and_then(|d| <[usize; 2]>::try_from(d).ok()).filter(|[_, d]| *d > 0) else {
        return Err(wrong(npy, format!("it has shape {:?}, not a row for each vector", header.dims)));
    };
    let value: fn([u8; 4]) -> f32 = match header.code.as_deref() {
        Some("<f4") => f32::from_le_bytes,
        Some(">f4") => f32::from_be_bytes,
        code => {
            let code = code.unwrap_or("records");
            return Err(wrong(npy, format!("it is damaged (it holds {code}, not floats of 32 bits)")));
        }
    };
    if header.by_columns {
        return Err(wrong(npy, "it is stored column by column; save it with numpy.ascontiguousarray".into()));
    }
    let claimed = n.checked_mul(d).and_then(|n| n.checked_mul(4));
    let values = claimed.and_then(|n| bytes[header.start..].get(..n));
    let Some(values) = values else {
        return Err(wrong(npy, "it is damaged (it ends before its own header says)".into()));
    };
    let data: Vec<f32> = values.as_chunks().0.iter().map(|v| value(*v)).collect();
    if data.iter().any(|v| !v.is_finite()) {
        return Err(wrong(npy, "it holds values that are no finite numbers".into()));
    }
    Ok(Features::new(d, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery() -> Gallery {
        Gallery {
            features: Features::new(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            names: ["a.png", "b, c.png", "d.png"].map(str::to_owned).to_vec(),
            labels: vec![Some(0), None, Some(1)],
            classes: vec!["x".into(), "y".into()],
            identities: Identities::new(
                ["a.png", "b, c.png", "d.png"]
                    .iter()
                    .zip(["/1", "/2", "/3"])
                    .map(|(n, p)| (identity::key(n, ""), p)),
            ),
            groups: vec!["g".into(), String::new(), "h, i".into()],
            fingerprint: "mine".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_by_its_own_model_alone() {
        let folder = tempfile::tempdir().unwrap();
        let npy = folder.path().join("g.npy");
        gallery().save(&npy).unwrap();
        assert!(Gallery::is(&npy));
        assert_eq!(Gallery::read(&npy, "mine", 2).unwrap(), gallery());
        let refused = Gallery::read(&npy, "other", 2).unwrap_err().to_string();
        assert!(refused.contains("another model's"), "{refused}");
        let bytes = std::fs::read(&npy).unwrap();
        std::fs::write(&npy, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Gallery::read(&npy, "mine", 2).unwrap_err().to_string().contains("damaged"));
        std::fs::write(&npy, bytes).unwrap();
        // As version 0.1 wrote it.
        std::fs::write(folder.path().join("g.csv"), "row,path,class\n0,a.png,x\n1,b,\n2,d.png,y\n").unwrap();
        let old = Gallery::read(&npy, "mine", 2).unwrap();
        assert_eq!((old.identities.place(0), old.groups.len()), (Some("a.png"), 0));
        std::fs::write(folder.path().join("g.csv"), "row,path,class\n0,a,\n").unwrap();
        assert!(Gallery::read(&npy, "mine", 2).unwrap_err().to_string().contains("names 1 images"));
    }

    #[test]
    fn classes_of_the_same_name_are_the_same() {
        let mut all = gallery();
        let mut more = gallery();
        more.classes = vec!["y".into(), "z".into()];
        all.append(&more);
        assert_eq!(all.classes, ["x", "y", "z"]);
        assert_eq!(all.labels, [Some(0), None, Some(1), Some(1), None, Some(2)]);
        assert_eq!((all.len(), all.features.len(), all.labelled().1), (6, 6, vec![0, 1, 1, 2]));
        assert_eq!(all.labelled().0.groups, ["g", "h, i", "g", "h, i"]);
        let mut some = gallery();
        some.append(&Gallery { groups: Vec::new(), ..gallery() });
        assert_eq!(some.groups, ["g", "", "h, i", "", "", ""]);
        // However they were listed, sorted galleries are the same.
        let mut other = more.clone();
        other.append(&gallery());
        assert_ne!(other, all);
        // Equal places are told apart by class.
        other.sort();
        all.sort();
        assert_eq!(other, all);
    }
}
