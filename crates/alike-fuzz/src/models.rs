//! What Alike writes, and a stranger may have changed: checkpoints, galleries, prepared images, runs.

use crate::repair;
use crate::scratch::{Scratch, as_it_is, parts};
use crate::seeds::models::{FINGERPRINT, WIDTH};
use crate::seeds::pictures;
use crate::texts::{check, run_if_small};
use alike::data::{
    DataPaths, Dataset, DigitCounts, Keep, OnError, Quiet, Request, digits, image_cache, load,
};
use alike::gallery::Gallery;
use alike::model::Checkpoint;
use alike::train::{Run, Settings, Training, read_metrics};
use std::cell::OnceCell;
use std::path::PathBuf;

pub(crate) fn checkpoint(bytes: &[u8]) {
    loaded(bytes);
    if let Some(repaired) = repair::checkpoint(bytes).filter(|r| r != bytes) {
        loaded(&repaired);
    }
}

fn loaded(bytes: &[u8]) {
    let scratch = Scratch::new();
    let path = scratch.write("x.safetensors", bytes);
    let Ok(checkpoint) = Checkpoint::load(&path) else { return };
    let _ = checkpoint.fingerprint();
    run_if_small(&checkpoint.network, &checkpoint.parameters);
    let again = scratch.at("again.safetensors");
    checkpoint.save(&again).unwrap_or_else(|e| panic!("what was read is written: {e}"));
    let again = Checkpoint::load(&again).unwrap_or_else(|e| panic!("what was written is read back: {e}"));
    assert_eq!(again, checkpoint, "what was written is read back");
}

pub(crate) fn gallery(bytes: &[u8]) {
    let scratch = Scratch::new();
    let [npy, table, facts] = parts(bytes);
    let repaired = repair::npy(npy);
    let path = scratch.write("g.npy", repaired.as_deref().unwrap_or(npy));
    scratch.write("g.csv", table);
    scratch.write("g.json", facts);
    let Ok(mut gallery) = Gallery::read(&path, FINGERPRINT, WIDTH) else { return };
    assert_eq!(gallery.features.len(), gallery.len(), "an embedding for each image");
    let other = gallery.clone();
    gallery.append(&other);
    let order = gallery.sort();
    assert_eq!(order.len(), gallery.len(), "each has a place");
    let (labelled, labels) = gallery.labelled();
    assert_eq!(labelled.len(), labels.len(), "each has a label");
    (0..gallery.len()).for_each(|i| assert!(gallery.class(i) != Some(""), "no class is called nothing"));
}

/// Pictures that stay where they are, and the file that was made from them.
pub(crate) struct Kept {
    scratch: Scratch,
    paths: DataPaths,
    file: PathBuf,
    /// What comes before the footer, and is right.
    head: Vec<u8>,
    data: Vec<u8>,
    /// The footer with its tail.
    pub(crate) footer: Vec<u8>,
}

/// Bytes of a file of prepared images before its images.
const HEAD: usize = 4096;
const TAIL: usize = 16;

impl Kept {
    pub(crate) fn new() -> Kept {
        let scratch = Scratch::new();
        // One that cannot be read is among them, so that the footer lists a failure.
        for (name, bytes) in
            [("a/1.png", pictures::png()), ("b/2.bmp", pictures::bmp()), ("b/3.png", b"none")]
        {
            scratch.write(&format!("pictures/{name}"), bytes);
        }
        let paths = DataPaths {
            cache: Some(scratch.at("cache")),
            offline: true,
            keep: Keep::Disk { limit: 1 << 30 },
            ..DataPaths::default()
        };
        let mut kept =
            Kept { scratch, paths, file: PathBuf::new(), head: vec![], data: vec![], footer: vec![] };
        let data = kept.load().unwrap_or_else(|| panic!("pictures are read"));
        let folder = std::fs::read_dir(image_cache(&kept.paths)).map(|d| d.flatten().map(|e| e.path()));
        kept.file = folder.into_iter().flatten().next().unwrap_or_else(|| panic!("a file was made"));
        let bytes = std::fs::read(&kept.file).unwrap_or_else(|e| panic!("{e}"));
        let images = 3 * data.preparation.shape.len();
        kept.head = bytes[..HEAD].to_vec();
        kept.data = bytes[HEAD..HEAD + images].to_vec();
        kept.footer = bytes[HEAD + images..].to_vec();
        kept
    }

    fn load(&self) -> Option<Dataset> {
        let what = self.scratch.at("pictures").to_string_lossy().into_owned();
        let request = Request { on_error: OnError::Skip, ..Request::from(what.as_str()) };
        load(&request, &self.paths, &mut Quiet).ok()
    }

    fn check(&self, footer: &[u8]) {
        // A new file is quicker than one that is cut and written again.
        let _ = std::fs::remove_file(&self.file);
        std::fs::write(&self.file, [&self.head, &self.data, footer].concat())
            .unwrap_or_else(|e| panic!("{e}"));
        let data = self.load().unwrap_or_else(|| panic!("a damaged file of prepared images is made anew"));
        assert_eq!(
            data.train.len() + data.test.len() + data.skipped.len(),
            3,
            "all pictures are accounted for"
        );
        for split in [&data.train, &data.test] {
            let mut scratch = Vec::new();
            for i in 0..split.len() {
                let image = split.images.image(i, &mut scratch);
                assert!(!image.unwrap_or_else(|e| panic!("images are there: {e}")).is_empty(), "pixels");
            }
        }
    }
}

pub(crate) fn cache(bytes: &[u8]) {
    thread_local!(static KEPT: OnceCell<Kept> = const { OnceCell::new() });
    KEPT.with(|kept| {
        let kept = kept.get_or_init(Kept::new);
        let Some((footer, _)) = bytes.split_last_chunk::<TAIL>() else { return kept.check(bytes) };
        // With sums that are right, as whoever wants to deceive would write them; its states must be those of the pictures.
        let states = &kept.footer[..16 * 3];
        let footer = [states, footer.get(states.len()..).unwrap_or_default()].concat();
        let repaired = repair::cache(&kept.head, &footer);
        if as_it_is(bytes, &repaired) {
            kept.check(bytes);
        }
        kept.check(&repaired);
    });
}

pub(crate) fn run(bytes: &[u8]) {
    thread_local!(static DATA: Dataset = digits(DigitCounts { train: 20, test: 10 }, 1));
    let scratch = Scratch::new();
    let [config, last, metrics, split] = parts(bytes);
    let repaired = repair::checkpoint(last);
    for (name, content) in [
        ("config.toml", config),
        ("last.safetensors", repaired.as_deref().unwrap_or(last)),
        ("metrics.jsonl", metrics),
        ("split.csv", split),
    ] {
        scratch.write(name, content);
    }
    let Ok(run) = Run::open(scratch.folder()) else { return };
    let _ = read_metrics(&run.metrics());
    DATA.with(|data| {
        let _ = run.check_split(data);
        let Some(settings) = run.config().ok().and_then(|text| toml::from_str::<Settings>(&text).ok()) else {
            return;
        };
        check(&settings);
        if let Ok(checkpoint) = run.best() {
            let _ = Training::resume(settings, data, checkpoint);
        }
    });
}
