//! Classes by their names.

use super::Dataset;

/// A class was named that a data set does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{dataset} has no class '{name}'{hint} (its classes: {known})")]
pub struct ClassError {
    dataset: String,
    name: String,
    hint: String,
    known: String,
}

/// The label of the class called `name`.
///
/// # Errors
///
/// If there is no such class.
pub fn find_class(dataset: &Dataset, name: &str) -> Result<u32, ClassError> {
    dataset.classes.iter().position(|c| c == name).map(|i| i as u32).ok_or_else(|| ClassError {
        dataset: dataset.name.clone(),
        name: name.to_owned(),
        hint: crate::suggest::did_you_mean(name, dataset.classes.iter().map(String::as_str)),
        known: dataset.classes.join(", "),
    })
}

/// The classes that a user means by `names`, each a name or a list of names with commas between them. A name that there is whole is
/// that class, even if it holds a comma.
///
/// # Errors
///
/// If a name is no class's.
pub fn find_classes(dataset: &Dataset, names: &[String]) -> Result<Vec<String>, ClassError> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let mut rest = name.as_str();
        loop {
            // As much as is a name: all, or up to a comma.
            let ends = std::iter::once(rest.len()).chain(rest.rmatch_indices(',').map(|(at, _)| at));
            let is_class = |end: &usize| {
                [&rest[..*end], rest[..*end].trim()].map(|n| dataset.classes.iter().any(|c| c == n))
            };
            let end = ends.clone().find(|end| is_class(end).contains(&true));
            let Some(end) = end else {
                // Nothing begins so: the shortest is what was misspelt, unless there is but one name.
                let first = rest.split(',').next().unwrap_or(rest).trim();
                find_class(dataset, if found.is_empty() && first.is_empty() { rest } else { first })?;
                break;
            };
            let class = if is_class(&end)[0] { &rest[..end] } else { rest[..end].trim() };
            if !found.iter().any(|f| f == class) {
                found.push(class.to_owned());
            }
            match rest[end..].strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
    }
    Ok(found)
}

/// The indices of the images whose class is not in `excluded`.
pub fn exclude(labels: &[u32], excluded: &[u32]) -> Vec<usize> {
    (0..labels.len()).filter(|&i| !excluded.contains(&labels[i])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;
    use crate::images::{Images, Shape};

    #[test]
    fn a_class_is_meant_by_its_whole_name_before_a_list_is() {
        let data = |classes: &[&str]| {
            let none = || Split::new(Images::new(Shape { h: 1, w: 1, c: 1 }, Vec::new()), Vec::new());
            Dataset::new("d", "d", classes.iter().map(|c| (*c).to_owned()).collect(), none(), none())
        };
        let d = data(&["cat, domestic", "dog", "it's", " x", "a", "b,c", "a,b", ""]);
        let find =
            |names: &[&str]| find_classes(&d, &names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(find(&["cat, domestic"]).unwrap(), ["cat, domestic"]);
        assert_eq!(find(&["dog, it's", "dog"]).unwrap(), ["dog", "it's"]);
        assert_eq!(find(&["dog,cat, domestic,a"]).unwrap(), ["dog", "cat, domestic", "a"]);
        assert!(find(&["a,b,c"]).unwrap_err().to_string().contains("no class 'c'"));
        assert_eq!(find(&[" x"]).unwrap(), [" x"]);
        let why = find(&["dogg"]).unwrap_err().to_string();
        assert!(why.contains("no class 'dogg'") && why.contains("did you mean 'dog'"), "{why}");
        assert!(find(&["dog,cta"]).unwrap_err().to_string().contains("no class 'cta'"));
    }
}
