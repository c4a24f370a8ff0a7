//! `alike encoders fetch`, from a server of the test's own that speaks as the Hugging Face Hub does.

use crate::command::{Ended, Scene};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What the server does with the content.
#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    /// Sends what it announced.
    #[default]
    Good,
    /// Closes the connection in the middle.
    Stops,
    /// Sends something else of the same length.
    Lies,
    /// Names no SHA-256.
    NoSum,
    /// Answers with a status alone.
    Status(u16),
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The server, its mood, and the requests that it had, with the headers that matter.
struct Server {
    address: String,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(content: Vec<u8>, sha256: &'static str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (mood, seen) = (Arc::new(Mutex::new(Mood::Good)), Arc::new(Mutex::new(Vec::new())));
        let (own_mood, own_seen) = (mood.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines: Vec<String> = lines.map_while(|l| l.ok().filter(|l| !l.is_empty())).collect();
                let header = |name: &str| {
                    let of = |l: &String| l.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned()));
                    lines.iter().filter_map(of).find(|(n, _)| n == name).map(|(_, v)| v)
                };
                let (range, token) = (header("range"), header("authorization"));
                own_seen.lock().unwrap().push(format!("{} {range:?} {token:?}", lines[0]));
                let mood = *own_mood.lock().unwrap();
                let answer = answer(&lines[0], range, mood, &content, sha256);
                let _ = stream.write_all(&answer);
            }
        });
        Server { address, mood, seen }
    }

    fn fetch(&self, scene: &Scene, what: &str, more: &[(&str, &str)]) -> Ended {
        scene.alike_with(&format!("encoders fetch {what}"), |command| {
            command
                .env("HF_ENDPOINT", &self.address)
                .env("HF_HOME", scene.path("hf"))
                .env_remove("HF_HUB_OFFLINE");
            command.envs(more.iter().copied());
        })
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.seen.lock().unwrap().clear();
    }
}

fn answer(first: &str, range: Option<String>, mood: Mood, content: &[u8], sha256: &str) -> Vec<u8> {
    let end = "Connection: close\r\n\r\n";
    if let Mood::Status(status) = mood {
        return format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{end}").into_bytes();
    }
    let path = first.split(' ').nth(1).unwrap();
    if path != "/cdn/content" {
        if path != "/own/tiny/resolve/main/onnx/tiny.onnx" {
            return format!("HTTP/1.1 404 No\r\nContent-Length: 0\r\n{end}").into_bytes();
        }
        let sum = if mood == Mood::NoSum { "W/\"0123\"" } else { sha256 };
        return format!(
            "HTTP/1.1 302 Found\r\nLocation: /cdn/content\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{sum}\"\r\n\
             X-Linked-Size: {}\r\nContent-Length: 0\r\n{end}",
            content.len()
        )
        .into_bytes();
    }
    let from: usize =
        range.map_or(0, |r| r.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    let mut body = content[from..].to_vec();
    let length = body.len();
    match mood {
        Mood::Stops => body.truncate(length / 2),
        Mood::Lies => body.iter_mut().for_each(|b| *b ^= 1),
        _ => {}
    }
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{end}");
    [head.into_bytes(), body].concat()
}

const ADDRESS: &str = "hf:own/tiny/onnx/tiny.onnx --name mine --preset imagenet";

#[test]
fn an_encoder_is_fetched_resumed_checked_and_found_again() {
    let scene = Scene::new();
    crate::encoders::bring(&scene, &["tiny.onnx"]);
    let content = std::fs::read(scene.path("tiny.onnx")).unwrap();
    let sha256: &'static str = alike_onnx::sha256_hex(&content).leak();
    let server = Server::new(content.clone(), sha256);

    server.is(Mood::Lies);
    let lied = server.fetch(&scene, ADDRESS, &[]);
    assert!(lied.code == 1 && lied.stderr.contains("SHA-256") && lied.stderr.contains(sha256), "{lied:?}");
    server.is(Mood::NoSum);
    let none = server.fetch(&scene, ADDRESS, &[]);
    assert!(none.code == 1 && none.stderr.contains("names no SHA-256"), "{none:?}");
    for status in [401, 404] {
        server.is(Mood::Status(status));
        let refused = server.fetch(&scene, ADDRESS, &[]);
        assert!(refused.code == 1 && refused.stderr.contains(&status.to_string()), "{refused:?}");
    }
    server.is(Mood::Stops);
    let stopped = server.fetch(&scene, ADDRESS, &[]);
    assert!(stopped.code == 1 && stopped.stderr.contains("goes on where it stopped"), "{stopped:?}");
    assert!(!scene.ok("encoders list").contains("mine"), "nothing was added");

    // It goes on in the middle; the token goes to the hub, and not to where the file lies.
    server.is(Mood::Good);
    let fetched = server.fetch(&scene, ADDRESS, &[("HF_TOKEN", "secret")]);
    assert_eq!(fetched.code, 0, "{fetched:?}");
    let seen = server.seen.lock().unwrap().clone();
    let half = format!("bytes={}-", content.len() / 2);
    assert!(seen.iter().any(|s| s.contains("/cdn/content") && s.contains(&half)), "{seen:?}");
    assert!(seen.iter().all(|s| !s.contains("/cdn/") || !s.contains("secret")), "{seen:?}");
    assert!(seen.iter().any(|s| s.starts_with("HEAD") && s.contains("Bearer secret")), "{seen:?}");
    let show = scene.ok("encoders show mine --json");
    assert!(show.contains("hf:own/tiny/onnx/tiny.onnx") && show.contains(sha256), "{show}");
    // As the hub's own tools would have it.
    let snapshot = scene.path(&format!("hf/hub/models--own--tiny/snapshots/{COMMIT}/onnx/tiny.onnx"));
    assert_eq!(std::fs::read(snapshot).unwrap(), content);
    assert_eq!(std::fs::read(scene.path("hf/hub/models--own--tiny/refs/main")).unwrap(), COMMIT.as_bytes());

    // Without any network, from that folder.
    server.is(Mood::Status(500));
    let again = server.fetch(
        &scene,
        "hf:own/tiny/onnx/tiny.onnx --name other --preset imagenet",
        &[("HF_HUB_OFFLINE", "1")],
    );
    assert_eq!(again.code, 0, "{again:?}");
    assert!(server.seen.lock().unwrap().is_empty());
}

#[test]
fn without_a_network_a_sentence_says_what_to_bring() {
    let scene = Scene::new();
    let server = Server { address: "http://127.0.0.1:9".into(), mood: Arc::default(), seen: Arc::default() };
    for (what, more) in [
        ("dinov2-small", vec![("HF_HUB_OFFLINE", "1")]),
        ("dinov2-small --offline", vec![]),
        ("dinov2-small", vec![]),
    ] {
        let ended = server.fetch(&scene, what, &more);
        let last = ended.stderr.lines().last().unwrap();
        assert!(ended.code == 1 && last.starts_with("error: "), "{ended:?}");
        for word in ["onnx/model.onnx", "onnx-community/dinov2-small", "alike encoders add"] {
            assert!(last.contains(word), "{word}: {last}");
        }
    }
    scene.refused("encoders fetch dinov2-smal", 1, &["did you mean 'dinov2-small'"]);
    scene.refused("encoders fetch hf:a/b/c.onnx", 1, &["--name"]);
    scene.refused("encoders fetch hf:a/../c.onnx --name x", 1, &["hf:OWNER/REPO/FILE"]);
    let list = scene.ok("encoders list");
    assert!(list.contains("insightface-r50") && list.contains("not for commercial use"), "{list}");
}
