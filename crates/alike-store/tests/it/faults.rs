//! What is refused, in a sentence each.

use crate::scene::{Scene, put};
use alike_store::{Access, Collection, StoreError};
use rusqlite::Connection;
use std::time::Duration;

#[track_caller]
fn says(error: StoreError, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "no '{word}' in: {text}");
    }
}

#[test]
fn what_is_no_collection_is_told() {
    let scene = Scene::new();
    let open = |name: &str| Collection::open(&scene.path(name), Access::Read).unwrap_err();
    says(open("none.alike"), &["there is no collection", "none.alike"]);
    std::fs::write(scene.path("text.alike"), "a text").unwrap();
    says(open("text.alike"), &["is no collection", "no SQLite file"]);
    std::fs::create_dir(scene.path("folder.alike")).unwrap();
    says(open("folder.alike"), &["it is a folder"]);
    Connection::open(scene.path("other.alike")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    says(open("other.alike"), &["another program"]);
    drop(scene.create("a.alike"));
    Connection::open(scene.path("a.alike")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    says(open("a.alike"), &["newer version", "99"]);
    says(
        Collection::create(&scene.path("a.alike"), scene.create("b.alike").about().clone()).unwrap_err(),
        &["exists already"],
    );
}

#[test]
fn a_locked_collection_is_waited_for_and_its_holder_named() {
    let scene = Scene::new();
    drop(scene.create("a.alike"));
    let path = scene.path("a.alike");
    // Another process: one's own locks are not seen.
    let Ok(mut holder) = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys\nd=sqlite3.connect(sys.argv[1],isolation_level=None)\nd.execute('BEGIN IMMEDIATE')\nprint('held',flush=True)\nsys.stdin.read()"])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        eprintln!("skipped: no python3");
        return;
    };
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line)
        .unwrap();
    let mut collection =
        Collection::open_patiently(&path, Access::Write, Duration::from_millis(200)).unwrap();
    let began = std::time::Instant::now();
    let error = collection.remove(&[1]).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(150));
    says(error, &["is being written by", "try again"]);
    #[cfg(target_os = "linux")]
    {
        let error = collection.remove(&[1]).unwrap_err();
        says(error, &[&format!("process {}", holder.id()), "python3"]);
    }
    // Whoever reads is not disturbed.
    assert_eq!(Collection::open(&path, Access::Read).unwrap().len().unwrap(), 0);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    put(&mut collection, &[("/a", [0.0; 3])]);
}

#[test]
fn a_damaged_vector_is_found_by_a_check_and_refused_by_a_question() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    put(&mut collection, &[("/a", [0.0; 3]), ("/b", [1.0; 3]), ("/c", [2.0; 3])]);
    let db = Connection::open(collection.path()).unwrap();
    let nan: Vec<u8> = [f32::NAN, 0.0, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    db.execute("UPDATE vectors SET vector = ?1 WHERE item = 1", [nan]).unwrap();
    db.execute("UPDATE vectors SET vector = x'00' WHERE item = 2", []).unwrap();
    db.execute("UPDATE items SET facts = '[1]' WHERE id = 2", []).unwrap();
    db.execute("DELETE FROM vectors WHERE item = 3", []).unwrap();
    let faults = collection.check().unwrap().faults;
    for part in [
        "/a has a vector with values that are no finite",
        "/b has a vector of 1 bytes, not 12",
        "/b has facts",
        "/c has no vector",
    ] {
        assert!(faults.iter().any(|f| f.contains(part)), "{part}: {faults:?}");
    }
    assert_eq!(faults.len(), 4, "{faults:?}");
    says(collection.gallery(None).unwrap_err(), &["/b", "alike collection check"]);
}

#[test]
fn a_full_disk_keeps_what_was_there() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    put(&mut collection, &[("/a", [0.0; 3])]);
    collection.limit_pages(60);
    let many: Vec<String> = (0..20_000).map(|i| format!("/pictures/{i}.jpg")).collect();
    let items: Vec<alike_store::NewItem> =
        many.iter().map(|p| alike_store::NewItem { place: p.clone(), ..Default::default() }).collect();
    let vectors = alike::images::Features::new(3, vec![0.5; 60_000]);
    let why = &mut alike_store::Occasion::new("add", "");
    says(
        collection.add(&items, &vectors, why, alike_store::Taken::Refuse).unwrap_err(),
        &["disk is full", "nothing of this step"],
    );
    assert_eq!((collection.len().unwrap(), collection.check().unwrap().faults.len()), (1, 0));
}

#[test]
fn a_read_only_folder_answers_and_refuses_changes() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let path = scene.path("closed/a.alike");
    std::fs::create_dir(scene.path("closed")).unwrap();
    put(&mut scene.create("closed/a.alike"), &[("/a", [0.0; 3])]);
    let set =
        |mode| std::fs::set_permissions(scene.path("closed"), std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    let read = Collection::open(&path, Access::Read).map(|c| c.len().unwrap());
    let write = Collection::open(&path, Access::Write).map(drop);
    set(0o755);
    assert_eq!(read.unwrap(), 1);
    says(write.unwrap_err(), &["cannot be written", "read-only"]);
}

#[test]
fn what_a_deleted_collection_left_is_not_read_as_a_new_ones() {
    let scene = Scene::new();
    let path = scene.path("a.alike");
    let mut first = scene.create("a.alike");
    put(&mut first, &[("/a", [1.0, 2.0, 3.0])]);
    // Its log lies beside it as long as it is open.
    assert!(scene.path("a.alike-wal").exists());
    std::fs::copy(scene.path("a.alike-wal"), scene.path("kept")).unwrap();
    drop(first);
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(scene.path("kept"), scene.path("a.alike-wal")).unwrap();
    let mut second = scene.create("a.alike");
    assert!(second.is_empty().unwrap() && second.check().unwrap().faults.is_empty());
    put(&mut second, &[("/b", [1.0, 2.0, 3.0])]);
}
