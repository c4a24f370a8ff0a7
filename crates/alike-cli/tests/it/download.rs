//! Downloads, from a server of the test's own.

use crate::command::Scene;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;

/// Serves files of `folder`, with each body passed through `change`; returns the folder's address.
fn serve(folder: PathBuf, change: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let name = request.split(' ').nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
            let Ok(whole) = std::fs::read(folder.join(name)) else {
                let _ = stream
                    .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                continue;
            };
            let length = whole.len();
            let body = change(whole);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://{address}/mnist/")
}

/// Where real MNIST lies packed, or nothing, which is said by the test's name even where output is captured.
fn mnist(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ALIKE_DATA").map(|dir| PathBuf::from(dir).join("mnist"));
    if folder.as_ref().is_none_or(|f| !f.join("t10k-images-idx3-ubyte.gz").is_file()) {
        let _ = writeln!(std::io::stderr(), "skipped: {test}: there is no packed MNIST under ALIKE_DATA");
        return None;
    }
    folder
}

#[test]
fn a_set_is_fetched_checked_and_then_found() {
    let Some(folder) = mnist("a_set_is_fetched_checked_and_then_found") else { return };
    let scene = Scene::new();
    let mirror = serve(folder, |body| body);
    let text = scene.ok(&format!("data fetch mnist --mirror {mirror}"));
    assert!(text.contains("60000 training and 10000 test images"), "{text}");
    let text = scene.ok("data fetch mnist --offline");
    assert!(text.contains("cache"), "{text}");
    let list = scene.ok("data list --json");
    assert!(list.contains("cache/alike/mnist"), "{list}");
}

/// Whatever a mirror sends, nothing of it stays that is not the published file. (The public mirrors, which are asked
/// next, are cut off by a proxy that does not exist.)
#[test]
fn a_mirror_that_lies_stops_early_or_has_nothing_leaves_nothing_behind() {
    let files = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&[7; 5000]).unwrap();
    std::fs::write(files.path().join("train-images-idx3-ubyte.gz"), packed.finish().unwrap()).unwrap();
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let (lie, cut): (Change, Change) = (|body| body, |body| body[..body.len() / 2].to_vec());
    let empty = files.path().join("empty");
    for (folder, change) in [(files.path().to_owned(), lie), (files.path().to_owned(), cut), (empty, lie)] {
        let scene = Scene::new();
        let mirror = serve(folder, change);
        let ended = scene.alike_with(&format!("data fetch mnist --mirror {mirror}"), |command| {
            command.env("ALL_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
        });
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended.stderr.contains("could not be downloaded") && ended.stderr.contains("by hand"),
            "{ended:?}"
        );
        // What each of the mirrors said.
        for host in ["127.0.0.1", "ossci-datasets", "storage.googleapis.com"] {
            assert!(ended.stderr.contains(host), "{host}: {ended:?}");
        }
        let left: Vec<_> =
            scene.files().into_iter().filter(|(path, _)| path.starts_with(scene.path("cache"))).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
