//! Nothing is lost, whoever dies, listens no more, or works on the same files.

use crate::command::{Scene, kill};
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

const TRAIN: &str = "train --data data --recipe seed --epochs 2";

#[test]
fn who_listens_no_more_stops_nothing() {
    let scene = Scene::new();
    scene.ok(&format!("{TRAIN} --out whole"));
    // Like `2>&1 | head -3`: the other end of both pipes is closed before anything is said.
    let (end, pipe) = std::io::pipe().unwrap();
    drop(end);
    let ended = scene.alike_with(&format!("{TRAIN} --out closed"), |c| {
        c.stderr(pipe);
    });
    assert_eq!(ended.code, 0, "{ended:?}");
    let [whole, closed] =
        ["whole", "closed"].map(|run| std::fs::read(scene.path(&format!("{run}/last.safetensors"))).unwrap());
    assert!(whole == closed, "the checkpoint was saved, to the same bits");
}

#[test]
fn a_terminal_gets_no_commands_from_names() {
    let scene = Scene::new();
    let ended = scene.alike_with("data stats", |c| {
        c.arg("no\x1b[2J such\u{202E}folder");
    });
    assert_ne!(ended.code, 0);
    assert!(
        !ended.stderr.contains(['\x1b', '\u{202E}']) && ended.stderr.contains("\\x1B[2J"),
        "{}",
        ended.stderr
    );
}

/// What a command writes to a terminal.
#[cfg(unix)]
fn on_a_terminal(scene: &Scene, command: &str) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().write(true).open(theirs).unwrap();
    let read = std::thread::spawn(move || {
        let mut all = Vec::new();
        // A terminal that nobody holds any more ends with an error.
        let _ = File::from(ours).read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    });
    let ended = scene.alike_with(command, |c| {
        c.stdout(theirs);
    });
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    read.join().unwrap()
}

#[cfg(unix)]
#[test]
fn a_name_stays_on_its_line() {
    let scene = Scene::new();
    for i in 0..4 {
        let class = if i < 2 { "a\nb" } else { "c" };
        let path = scene.write(&format!("odd/{class}/{i}.png"), b"");
        image::GrayImage::from_pixel(8, 8, image::Luma([60 * i as u8])).save(path).unwrap();
    }
    let said = on_a_terminal(&scene, "data stats odd");
    assert!(said.lines().any(|line| line.trim_start().starts_with("a\\x0Ab ")), "{said}");
    // Headings have an empty line before them.
    assert!(said.contains("\n\r\n") || said.contains("\n\n"), "{said:?}");
    // A file or another program gets names as they are.
    assert!(scene.ok("data stats odd").contains("  a\nb "));
    let ended = scene.alike_with("data stats", |c| {
        c.arg("no such\nfolder");
    });
    assert!(ended.stderr.trim_end().lines().count() == 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("no such\\x0Afolder"), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn a_run_is_trained_by_one_process_at_a_time() {
    let scene = Scene::new();
    let busy =
        |words: &[&str]| scene.refused(&words.join(" "), 1, &["run", "another process", "another folder"]);
    std::fs::create_dir(scene.path("run")).unwrap();
    let other = File::open(scene.path("run")).unwrap();
    other.lock().unwrap();
    busy(&[TRAIN, "--out run"]);
    drop(other);
    scene.ok(&format!("{TRAIN} --out run"));
    let other = File::open(scene.path("run")).unwrap();
    other.lock().unwrap();
    busy(&["train --resume run --epochs 3"]);
    busy(&[TRAIN, "--out run --force"]);
    // Who only looks is not disturbed.
    scene.ok("eval run");
    drop(other);
    scene.ok("train --resume run --epochs 3");
    std::fs::create_dir(scene.path("search")).unwrap();
    let other = File::open(scene.path("search")).unwrap();
    other.lock().unwrap();
    scene.refused(
        "tune --data data --candidates 2 --epochs 1 --out search",
        1,
        &["search", "another process"],
    );
}

#[cfg(unix)]
#[test]
fn a_run_whose_first_write_was_killed_can_be_made_again() {
    let scene = Scene::new();
    // What a writer that was killed leaves: a part file that nobody has locked.
    let part = scene.write("run/.config.toml.a1B2c3.alike.part", b"# The resol");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(9);
    File::options().append(true).open(&part).unwrap().set_modified(long_ago).unwrap();
    scene.ok(&format!("{TRAIN} --out run"));
    assert!(!part.exists(), "what the dead left is removed");
    // A file of somebody else's is no such thing.
    scene.write("other/.download.part", b"half");
    scene.refused(&format!("{TRAIN} --out other"), 1, &["other", "exists already"]);
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits_and_its_lock_is_gone() {
    let scene = Scene::new();
    let long = "train --data data --recipe seed --epochs 40";
    scene.ok(&format!("{long} --out whole"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_alike"))
        .args(long.split_whitespace())
        .args(["--out", "run"])
        .current_dir(scene.path(""))
        .env("XDG_CACHE_HOME", scene.path("cache"))
        .env_remove("ALIKE_DATA")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // After some epochs.
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    let mut buffer = [0; 256];
    while !said.contains("epoch 3/") {
        let n = stderr.read(&mut buffer).unwrap();
        assert!(n > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    kill(child);
    scene.ok("train --resume run");
    let [whole, run] =
        ["whole", "run"].map(|run| std::fs::read(scene.path(&format!("{run}/last.safetensors"))).unwrap());
    assert!(whole == run, "the same bits");
}

#[test]
fn a_search_survives_a_torn_line_and_says_which_line_is_none_of_its() {
    let scene = Scene::new();
    let tune = "tune --data data --recipe seed --candidates 2 --epochs 1 --out search";
    let whole = scene.ok(tune);
    let trials = std::fs::read_to_string(scene.path("search/trials.jsonl")).unwrap();
    let first = trials.lines().next().unwrap();
    for torn in [first[..20].to_owned(), format!("{first}\n{}", &first[..20]), "\n".to_owned()] {
        scene.write("search/trials.jsonl", torn.as_bytes());
        scene.ok(tune);
        let now = std::fs::read_to_string(scene.path("search/trials.jsonl")).unwrap();
        assert_eq!(now.lines().filter(|l| !l.is_empty()).count(), trials.lines().count(), "{torn:?}");
        // And once more, from what was just written.
        scene.ok(tune);
    }
    let other = first.replace("\"rung\":0", "\"rung\":7");
    scene.write("search/trials.jsonl", format!("{first}\n{other}\n").as_bytes());
    scene.refused(tune, 1, &["line 2", "trials.jsonl", "no trial of this search"]);
    scene.write("search/trials.jsonl", format!("{first}\nnonsense\n").as_bytes());
    scene.refused(tune, 1, &["line 2", "trials.jsonl"]);
    assert!(whole.contains("best of"));
}

#[cfg(unix)]
#[test]
fn force_replaces_files_alone() {
    let scene = Scene::new();
    scene.ok(&format!("{TRAIN} --out run"));
    std::os::unix::fs::symlink("/dev/null", scene.path("null.csv")).unwrap();
    scene.refused("eval run --force --csv null.csv", 1, &["null.csv", "is no file"]);
    assert!(scene.path("null.csv").is_symlink());
    let long = format!("{}.csv", "n".repeat(251));
    scene.ok(&format!("eval run --csv {long}"));
    assert!(scene.path(&long).is_file());
}

#[test]
fn tables_of_other_verbs_break_none_and_nested_verbs_have_theirs() {
    let scene = Scene::new();
    scene.train("");
    let config = "seed = 1
[eval]
k = 3
csv = \"plain.csv\"
[eval.few-shot]
ways = 2
shots = [1]
queries = 2
episodes = 7
data = \"digits:train=40,test=40\"
prepare = \"size=12x10\"
[train]
epocs = 3
[data.show]
out = \"sheet.png\"
[model.show]
plan = true
";
    scene.write("c.toml", config.as_bytes());
    let told = scene.ok("eval few-shot run --config c.toml --json -q");
    assert!(told.contains("\"episodes\":7") && told.contains("\"ways\":2"), "{told}");
    let told = scene.ok("eval run --config c.toml -q");
    assert!(told.contains("3-NN") && scene.path("plain.csv").exists(), "{told}");
    scene.ok("data show data --config c.toml -q");
    assert!(scene.path("sheet.png").exists());
    assert!(scene.ok("model show run --config c.toml -q").contains("workspace"), "the plan is printed");
    scene.refused("train --data data --out x --config c.toml", 2, &["'epocs'"]);
    scene.write("d.toml", b"[eval.fewshot]\nways = 2\n");
    scene.refused("eval run --config d.toml", 2, &["[fewshot]", "did you mean 'few-shot'"]);
}

#[test]
fn the_verb_of_a_config_is_found_whatever_flags_say() {
    let scene = Scene::new();
    scene.write("c.toml", b"[train]\nepochs = 1\nrecipe = \"seed\"\n");
    std::fs::rename(scene.path("data"), scene.path("train")).unwrap();
    // A value that is called like the verb.
    scene.ok("--data-dir train --config c.toml train --data train --out run");
    assert!(std::fs::read_to_string(scene.path("run/config.toml")).unwrap().contains("epochs = 1"));
    // What is typed wins, before the verb and after it.
    scene.ok("--config c.toml train --data train --epochs 2 --out two");
    assert!(std::fs::read_to_string(scene.path("two/config.toml")).unwrap().contains("epochs = 2"));
}

#[test]
fn a_spreadsheet_gets_no_formulas_if_asked() {
    let scene = Scene::new();
    for (i, place) in (0u32..).zip(["=1+1/@a", "=1+1/b", "-x/c", "-x/d"]) {
        let path = scene.write(&format!("set/{place}.png"), b"");
        image::GrayImage::from_fn(10, 12, |x, y| image::Luma([(x * y + 40 * i) as u8])).save(path).unwrap();
    }
    scene.ok("train --data data --recipe seed --epochs 1 --out run");
    scene.ok("cluster run set -k 2 --csv plain.csv");
    scene.ok("cluster run set -k 2 --csv safe.csv --spreadsheet");
    let [plain, safe] = ["plain.csv", "safe.csv"].map(|f| std::fs::read_to_string(scene.path(f)).unwrap());
    assert!(plain.contains(",=1+1,") && !plain.contains("'="), "{plain}");
    assert!(safe.contains(",'=1+1,") && safe.contains(",'-x,"), "{safe}");
}

/// Numbers as large as they come are refused, or mean as many as there are.
#[test]
fn the_largest_numbers_are_taken_or_refused() {
    let scene = Scene::new();
    scene.ok(&format!("{TRAIN} --out run"));
    let most = u64::MAX;
    for (arguments, code) in [
        (format!("eval few-shot run --ways 2 --shots 1 --queries {most}"), 0),
        (format!("eval few-shot run --shots {most}"), 1),
        (format!("eval few-shot run --ways {most}"), 1),
        (format!("eval run --cache-limit {most}"), 0),
        ("train --data data --recipe seed --sampler fixed-triplets:count=0 --out r".to_owned(), 1),
        ("train --data data --recipe seed --sampler fixed-triplets:count=9 --out r".to_owned(), 1),
        ("train --data data --recipe seed --miner hdc:filter-percentage=-1 --out r".to_owned(), 1),
        (
            "train --data data --recipe seed --miner batch-easy-hard:neg-low=0.9,neg-high=0.1 --out r"
                .to_owned(),
            1,
        ),
    ] {
        let ended = scene.alike(&format!("{arguments} -q"));
        assert_eq!(ended.code, code, "alike {arguments}: {ended:?}");
        assert!(code == 0 || ended.stderr.starts_with("error: "), "alike {arguments}: {ended:?}");
    }
}

/// Control characters and what XML forbids, in the names of classes and files: every page and figure is drawn all the same.
#[cfg(unix)]
#[test]
fn names_that_no_document_may_hold_are_drawn_all_the_same() {
    let scene = Scene::new();
    for (kind, class) in [(0u32, "a\u{1}b"), (1, "b\u{1b}[31m"), (2, "c\u{ffff}")] {
        for i in 0..12 {
            let path = scene.write(&format!("set/{class}/{i}\u{7}.png"), b"");
            let level = |x: u32, y: u32| if y / 4 == kind { 200 } else { 20 } + (x * 7 + y * 3 + i * 11) % 50;
            image::GrayImage::from_fn(12, 12, |x, y| image::Luma([level(x, y) as u8])).save(path).unwrap();
        }
    }
    scene.ok("train --data set --recipe seed --batch-size 16 --epochs 1 --out run");
    scene.ok("report run -o page.html");
    scene.ok("health run -o health");
    scene.ok("map run -o map.html");
    for page in ["page.html", "map.html", "page-figures/confusion.svg"] {
        let text = std::fs::read_to_string(scene.path(page)).unwrap();
        assert!(!text.contains(['\u{1}', '\u{1b}', '\u{7}', '\u{ffff}']), "{page}");
    }
    // A name is told as it is where programs read it.
    let listed = scene.ok("embed run set -o all.npy --json");
    assert!(!listed.contains('\u{1b}'));
    assert!(std::fs::read_to_string(scene.path("all.csv")).unwrap().contains("a\u{1}b"));
}

#[test]
fn a_search_judged_by_other_classes_begins_with_settings_for_them() {
    let scene = Scene::new();
    // No time at all, so that nothing is trained.
    let tune = "tune --data digits:train=3600,test=40 --minutes 0 --out search";
    for by in ["class", "image"] {
        let ended = scene.alike(&format!("{tune} --by {by}"));
        assert!(ended.code == 1 && ended.stderr.contains("stopped before the first trial"), "{ended:?}");
        let told = ended.stderr.contains("classes that are not trained on are judged");
        assert_eq!(told, by == "class", "{ended:?}");
        std::fs::remove_dir_all(scene.path("search")).unwrap();
    }
}
