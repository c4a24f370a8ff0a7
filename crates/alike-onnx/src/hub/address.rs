//! The address of a file on the hub.

use super::HubError;
use std::fmt;
use std::str::FromStr;

/// A file of a repository: `hf:OWNER/REPO@REVISION/FILE`, with the revision `main` where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// As in `owner/name`.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// Its path within the repository, with slashes.
    pub file: String,
}

impl HubFile {
    /// Another file of the same revision, in the same folder.
    pub fn beside(&self, name: &str) -> HubFile {
        let folder = self.file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        HubFile { file: format!("{folder}{name}"), ..self.clone() }
    }
}

impl FromStr for HubFile {
    type Err = HubError;

    fn from_str(text: &str) -> Result<HubFile, HubError> {
        let wrong = || HubError::Address(text.to_owned());
        let rest = text.strip_prefix("hf:").ok_or_else(wrong)?;
        let mut parts = rest.splitn(3, '/');
        let (Some(owner), Some(repo), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
        // Whatever becomes a part of a path here is one name, and leads nowhere else.
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 200
                && !name.starts_with('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+ ".contains(c))
        };
        if ![owner, repo, revision].into_iter().chain(file.split('/')).all(is_name) {
            return Err(wrong());
        }
        Ok(HubFile {
            repository: format!("{owner}/{repo}"),
            revision: revision.to_owned(),
            file: file.to_owned(),
        })
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HubFile { repository, revision, file } = self;
        if revision == "main" {
            write!(f, "hf:{repository}/{file}")
        } else {
            write!(f, "hf:{repository}@{revision}/{file}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for text in
            ["hf:a/b/model.onnx", "hf:a/b@v1.0/onnx/model.onnx", "hf:o-o/r_r.x/onnx/vision model.onnx"]
        {
            assert_eq!(text.parse::<HubFile>().unwrap().to_string(), text);
        }
        let file: HubFile = "hf:a/b@c/onnx/model.onnx".parse().unwrap();
        assert_eq!(file.beside("model.onnx_data").to_string(), "hf:a/b@c/onnx/model.onnx_data");
        for bad in [
            "a/b/c",
            "hf:a/b",
            "hf:a/b/",
            "hf:/b/c",
            "hf:a/b@/c",
            "hf:a/../c",
            "hf:a/b/../../c",
            "hf:a/b/.hidden",
            "hf:a/b/c\nd",
            "hf:a/b@r?x=1/c",
        ] {
            assert!(bad.parse::<HubFile>().is_err(), "{bad}");
        }
    }
}
