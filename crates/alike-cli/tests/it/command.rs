//! Running the binary, and small sets to run it on.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder of its own for one test, with a small set in `data/` and room for whatever a test makes.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Kills a process of the test's own.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// 90 training and 30 test images of three classes, 12 x 10.
const COUNTS: [usize; 2] = [90, 30];
const SIZE: (usize, usize) = (12, 10);

impl Scene {
    pub(crate) fn new() -> Scene {
        let scene = Scene { folder: tempfile::tempdir().unwrap() };
        for (split, n) in ["train", "t10k"].into_iter().zip(COUNTS) {
            scene.write(&format!("data/{split}-images-idx3-ubyte"), &idx(&[n, SIZE.0, SIZE.1], pixels(n)));
            let labels = (0..n).map(|i| (i % 3) as u8).collect();
            scene.write(&format!("data/{split}-labels-idx1-ubyte"), &idx(&[n], labels));
        }
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// As [`Scene::ok`], with words that may have spaces.
    #[track_caller]
    pub(crate) fn ok_words(&self, words: &[&str]) -> String {
        let ended = self.alike_with("", |command| {
            command.args(words);
        });
        assert_eq!(ended.code, 0, "alike {words:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs `alike` in the folder, with nothing from the outside: no network, no cache, no data of the user's.
    pub(crate) fn alike(&self, arguments: &str) -> Ended {
        self.alike_with(arguments, |_| {})
    }

    pub(crate) fn alike_with(&self, arguments: &str, change: impl FnOnce(&mut Command)) -> Ended {
        let mut command = self.command(arguments);
        change(&mut command);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Starts a command that goes on; what it prints is read from its standard output.
    pub(crate) fn start(&self, arguments: &str) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What a command has said on its standard error up to the line that contains `last`; then it is killed.
    #[track_caller]
    pub(crate) fn heard_until(&self, arguments: &str, last: &str) -> String {
        let mut child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut heard = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            heard.push_str(&(line.unwrap() + "\n"));
            if heard.contains(last) {
                break;
            }
        }
        kill(child);
        assert!(heard.contains(last), "{heard}");
        heard
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alike"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env_remove("ALIKE_DATA")
            .env_remove("ALIKE_ONNXRUNTIME")
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("ALIKE_ENCODERS", self.path("encoders"))
            .env("ALIKE_COLLECTIONS", self.path("collections"))
            .env("HOME", self.path("home"));
        command
    }

    /// The command must succeed; returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &str) -> String {
        let ended = self.alike(arguments);
        assert_eq!(ended.code, 0, "alike {arguments}: {}", ended.stderr);
        ended.stdout
    }

    /// The command must end with `code`, nothing on stdout, and one clear sentence that holds every one of `words`.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &str, code: i32, words: &[&str]) {
        let ended = self.alike(arguments);
        assert_eq!(ended.code, code, "alike {arguments}: {ended:?}");
        assert_eq!(ended.stdout, "", "alike {arguments}");
        assert!(ended.stderr.starts_with("error: "), "alike {arguments}: {}", ended.stderr);
        if code == 1 {
            assert_eq!(ended.stderr.lines().count(), 1, "alike {arguments}: {}", ended.stderr);
        }
        for word in words {
            assert!(ended.stderr.contains(word), "alike {arguments}: no '{word}' in: {}", ended.stderr);
        }
    }

    /// A run of one epoch on the small set, in `run/`.
    pub(crate) fn train(&self, more: &str) {
        self.ok(&format!("train --data data --recipe seed --out run --epochs 1 --batch-size 16 -q {more}"));
    }

    /// Every file below the folder, with its content.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, into);
                } else {
                    into.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut all = Vec::new();
        walk(self.folder.path(), &mut all);
        all.sort();
        all
    }
}

/// An IDX file of bytes.
pub(crate) fn idx(dims: &[usize], data: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for d in dims {
        bytes.extend((*d as u32).to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

/// Images that differ by class: a bar across, at a height of its own, and a little noise.
fn pixels(n: usize) -> Vec<u8> {
    (0..n * SIZE.0 * SIZE.1)
        .map(|at| {
            let (i, y) = (at / (SIZE.0 * SIZE.1), at / SIZE.1 % SIZE.0);
            let bar = if y / 4 == i % 3 { 180 } else { 0 };
            bar + (at.wrapping_mul(2_654_435_761) >> 7) as u8 % 60
        })
        .collect()
}
