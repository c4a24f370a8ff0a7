//! A collection and the gallery that tasks take: one read as the other, and old galleries taken over.

use crate::collection::Collection;
use crate::error::StoreError;
use crate::filter::{Bound, Filter};
use crate::item::{Added, NewItem, Occasion, Taken};
use crate::items::{FROM, bound, read_vector};
use alike::data::FileStamp;
use alike::gallery::Gallery;
use alike::identity::{self, Identities};
use alike::images::Features;
use rusqlite::params_from_iter;
use std::collections::HashMap;
use std::path::Path;

/// Pictures that are added in one transaction.
const AT_ONCE: usize = 4096;

impl Collection {
    /// The pictures of which a condition holds, as tasks take them, by rising number.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or a vector in it is damaged.
    pub fn gallery(&self, filter: Option<&Filter>) -> Result<Gallery, StoreError> {
        let Bound { sql, parameters } = bound(filter, 1);
        let sql = format!(
            "SELECT i.place, i.class, i.\"group\", v.vector FROM {FROM} JOIN vectors v ON v.item = i.id WHERE {sql} ORDER BY i.id"
        );
        let d = self.about().dimension;
        let (mut data, mut names, mut labels) = (Vec::new(), Vec::<String>::new(), Vec::new());
        let (mut classes, mut groups) = (Vec::<String>::new(), Vec::<String>::new());
        let mut number: HashMap<String, u32> = HashMap::new();
        let mut damaged = None;
        let attempt = || -> rusqlite::Result<()> {
            let mut statement = self.db.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            while let Some(row) = rows.next()? {
                let at = data.len();
                data.resize(at + d, 0.0);
                let bytes = row.get_ref(3)?.as_blob().unwrap_or_default();
                if read_vector(bytes, &mut data[at..]).is_none() {
                    damaged = Some(row.get::<_, String>(0)?);
                    return Ok(());
                }
                names.push(row.get(0)?);
                labels.push(row.get::<_, Option<String>>(1)?.map(|class| {
                    *number.entry(class.clone()).or_insert_with(|| {
                        classes.push(class);
                        classes.len() as u32 - 1
                    })
                }));
                groups.push(row.get::<_, Option<String>>(2)?.unwrap_or_default());
            }
            Ok(())
        };
        attempt().map_err(self.told())?;
        if let Some(place) = damaged {
            let why = format!("the vector of {place} is not {d} numbers long");
            return Err(StoreError::Damaged { path: self.path().to_owned(), why });
        }
        if groups.iter().all(String::is_empty) {
            groups.clear();
        }
        // What is drawn by keys is the same wherever the pictures lie.
        let folder = identity::common_folder(names.iter().map(String::as_str));
        let key = |name: &str| identity::key(&name[folder..], "");
        let identities = Identities::new(names.iter().map(|name| (key(name), name.as_str())));
        let fingerprint = self.about().fingerprint.clone();
        let features = Features::new(d, data);
        Ok(Gallery { features, names, labels, classes, identities, groups, fingerprint })
    }

    /// Adds the pictures of a gallery, which is of the same encoder.
    ///
    /// # Errors
    ///
    /// If its embeddings are another encoder's, or as [`Collection::add`].
    pub fn add_gallery(
        &mut self,
        gallery: &Gallery,
        why: &mut Occasion,
        taken: Taken,
    ) -> Result<Added, StoreError> {
        if gallery.fingerprint != self.about().fingerprint {
            let address = self.about().address.to_string();
            return Err(StoreError::Fingerprint { path: self.path().to_owned(), address });
        }
        let new = |i: usize| {
            let place = gallery.identities.place(i).unwrap_or(&gallery.names[i]).to_owned();
            let path = Path::new(&place);
            let stamp = if path.is_file() { FileStamp::of(path) } else { FileStamp::default() };
            let group = gallery.groups.get(i).filter(|g| !g.is_empty()).cloned();
            NewItem { stamp, class: gallery.class(i).map(str::to_owned), group, place, ..NewItem::default() }
        };
        let rows: Vec<usize> = (0..gallery.len()).collect();
        let mut all = Added::default();
        for chunk in rows.chunks(AT_ONCE) {
            let items: Vec<NewItem> = chunk.iter().map(|i| new(*i)).collect();
            all += self.add(&items, &gallery.features.select(chunk), why, taken)?;
        }
        Ok(all)
    }
}
