//! Files that a stranger made: however much they ask for, memory stays bounded, nothing waits forever, and what is refused is named
//! with the limit and the flag that raises it.

use crate::command::{Ended, Scene, idx};
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No command of these takes longer, even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);
const GIB: u64 = 1 << 30;

/// Runs `alike`, and tells the most memory that it took, in bytes; kills it when it takes too long.
#[track_caller]
fn measured(scene: &Scene, arguments: &str) -> (Ended, u64) {
    let [out, err] = ["out.txt", "err.txt"].map(|name| scene.path(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_alike"));
    command
        .args(arguments.split_whitespace())
        .current_dir(scene.path("."))
        .env_remove("ALIKE_DATA")
        .env("XDG_CACHE_HOME", scene.path("cache"))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let (begin, mut most) = (Instant::now(), 0);
    let code = loop {
        // Its high-water mark, which is gone with the program.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|p| p.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = kib.map_or(most, |k| most.max(k << 10));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("alike {arguments}: it does not end; {}", std::fs::read_to_string(err).unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    eprintln!("{arguments}: {} MiB, {:.1} s", most >> 20, begin.elapsed().as_secs_f64());
    (Ended { code, stdout: read(out), stderr: read(err) }, most)
}

/// It must be refused at once, taking no memory to speak of, in one sentence with every one of `words`.
#[track_caller]
fn refused(scene: &Scene, arguments: &str, words: &[&str]) {
    let (ended, most) = measured(scene, arguments);
    assert!(ended.code == 1 || ended.code == 2, "alike {arguments}: {ended:?}");
    assert!(ended.stderr.starts_with("error: "), "alike {arguments}: {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "alike {arguments}: no '{word}' in: {}", ended.stderr);
    }
    assert!(most < GIB / 2, "alike {arguments}: {} MiB", most >> 20);
}

/// A grey JPEG that is whole: every block is zero, which is two bits of a Huffman code each, or one where it comes in passes.
fn jpeg(h: u16, w: u16, planes: u8, progressive: bool, whole: bool) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut segment = |kind: u8, content: &[u8]| {
        file.extend([0xff, kind]);
        file.extend((content.len() as u16 + 2).to_be_bytes());
        file.extend(content);
    };
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let mut frame = vec![8];
    frame.extend(h.to_be_bytes());
    frame.extend(w.to_be_bytes());
    frame.push(planes);
    (1..=planes).for_each(|p| frame.extend([p, 0x11, 0]));
    segment(if progressive { 0xc2 } else { 0xc0 }, &frame);
    // One code of one bit each, of a difference of nothing and of the end of a block.
    for class in [0x00, 0x10] {
        segment(0xc4, &[&[class][..], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0]].concat());
    }
    let mut scan = vec![planes];
    (1..=planes).for_each(|p| scan.extend([p, 0]));
    scan.extend(if progressive { [0, 0, 0] } else { [0, 63, 0] });
    segment(0xda, &scan);
    let blocks = usize::from(h).div_ceil(8) * usize::from(w).div_ceil(8) * usize::from(planes);
    let bits = if progressive { blocks } else { 2 * blocks };
    file.resize(file.len() + if whole { bits.div_ceil(8) } else { 1000 }, 0);
    file.extend([0xff, 0xd9]);
    file
}

/// A grey PNG of zeros, which are a thousandth of their size once they are packed.
fn png(h: u32, w: u32, whole: bool) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], content: &[u8]| file.extend(png_chunk(kind, content));
    let header = [&w.to_be_bytes()[..], &h.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    chunk(b"IHDR", &header);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let row = vec![0; w as usize + 1];
    (0..if whole { h } else { 1 }).for_each(|_| packed.write_all(&row).unwrap());
    chunk(b"IDAT", &packed.finish().unwrap());
    chunk(b"IEND", &[]);
    file
}

fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    [&kind[..], content].iter().for_each(|part| crc.update(part));
    [&(content.len() as u32).to_be_bytes()[..], kind, content, &crc.sum().to_be_bytes()].concat()
}

/// A small PNG whose packed colour profile is of so many bytes.
fn png_with_profile(bytes: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(b"x\0\0".to_vec(), Compression::fast());
    let block = vec![0; 1 << 20];
    (0..bytes.div_ceil(block.len())).for_each(|_| packed.write_all(&block).unwrap());
    let mut file = png(20, 20, true);
    // After the first chunk, which has 25 bytes.
    file.splice(33..33, png_chunk(b"iCCP", &packed.finish().unwrap()));
    file
}

/// A zip archive whose only member, called `a/1.png`, is listed so many times more.
fn overlapping(zip: &[u8], times: usize) -> Vec<u8> {
    let at = |place: usize| u32::from_le_bytes(zip[place..place + 4].try_into().unwrap()) as usize;
    let end = zip.len() - 22;
    let (size, start) = (at(end + 12), at(end + 16));
    let mut listed = zip[start..start + size].to_vec();
    for i in 0..times {
        let mut entry = zip[start..start + size].to_vec();
        // The name follows 46 bytes.
        let digit = entry[46..].iter().position(|b| *b == b'1').unwrap() + 46;
        entry[digit] = b'2' + i as u8;
        listed.extend(entry);
    }
    let mut last = zip[end..].to_vec();
    let count = (times as u16 + 1).to_le_bytes();
    last[8..10].copy_from_slice(&count);
    last[10..12].copy_from_slice(&count);
    last[12..16].copy_from_slice(&(listed.len() as u32).to_le_bytes());
    [&zip[..start], &listed, &last].concat()
}

/// The beginning of a grey TIFF of so many pixels in one strip.
fn tiff(h: u32, w: u32) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u32); 9] =
        [(256, w), (257, h), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, h), (279, u32::MAX)];
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend([4, 0, 1, 0, 0, 0]);
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

fn gif(h: u16, w: u16) -> Vec<u8> {
    let size = [w.to_le_bytes(), h.to_le_bytes()].concat();
    [b"GIF89a", &size[..], b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0", &size, b"\0\x02\x02L\x01\0;"].concat()
}

fn bmp(h: i32, w: i32) -> Vec<u8> {
    let mut file = b"BM\x7a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend(w.to_le_bytes());
    file.extend(h.to_le_bytes());
    file.extend(b"\x01\0\x18\0");
    file.resize(54 + 64, 0);
    file
}

fn webp(h: u32, w: u32) -> Vec<u8> {
    let (w, h) = ((w - 1).to_le_bytes(), (h - 1).to_le_bytes());
    let canvas = [&[0, 0, 0, 0][..], &w[..3], &h[..3]].concat();
    let body = [b"WEBPVP8X\x0a\0\0\0", &canvas[..]].concat();
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// The only member of a zip archive: a beginning, and empty lines.
fn zip(name: &str, head: &[u8], lines: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default().compression_level(Some(1))).unwrap();
    zip.write_all(head).unwrap();
    let block = vec![b'\n'; 1 << 20];
    for at in (0..lines).step_by(block.len()) {
        zip.write_all(&block[..block.len().min(lines - at)]).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn gzip(head: &[u8], zeros: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(head).unwrap();
    let block = vec![0; 1 << 20];
    for at in (0..zeros).step_by(block.len()) {
        packed.write_all(&block[..block.len().min(zeros - at)]).unwrap();
    }
    packed.finish().unwrap()
}

fn npy(shape: &str) -> Vec<u8> {
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat()
}

fn sparse(scene: &Scene, name: &str, head: &[u8], len: u64) {
    let path = scene.write(name, head);
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// Ten pictures of two classes that are what they say.
fn good(scene: &Scene) {
    for i in 0..10u32 {
        let class = if i % 2 == 0 { "ant" } else { "bee" };
        // A profile of four megabytes is none too many.
        let file = if i == 0 { png_with_profile(4 << 20) } else { png(20 + i, 24, true) };
        scene.write(&format!("pictures/{class}/{i}.png"), &file);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pictures_that_ask_for_much_are_left_out_and_memory_stays_bounded() {
    let scene = Scene::new();
    good(&scene);
    let profile = png_with_profile(1 << 30);
    // Twice each, so that both threads meet them at once.
    for twice in ["ant", "bee"] {
        let write = |name: &str, bytes: &[u8]| drop(scene.write(&format!("pictures/{twice}/{name}"), bytes));
        write("vast-progressive.jpg", &jpeg(65_500, 65_500, 1, true, false));
        write("vast.jpg", &jpeg(65_500, 65_500, 3, false, false));
        write("vast.png", &png(60_000, 60_000, false));
        write("profile.png", &profile);
        write("vast.tif", &tiff(60_000, 60_000));
        write("vast.gif", &gif(65_535, 65_535));
        write("vast.bmp", &bmp(60_000, 60_000));
        write("vast.webp", &webp(1 << 24, 200));
        write("vast.pgm", b"P5 60000 60000 255\n");
        // Just within the limit of pixels, and whole: each needs most of the memory that there is, so one waits for the other.
        write("large-progressive.jpg", &jpeg(16_000, 15_992, 1, true, true));
        // Cut off, after their headers were believed.
        write("large.jpg", &jpeg(16_000, 15_992, 3, true, false));
        write("large.tif", &tiff(16_000, 15_992));
        write("large.gif", &gif(16_000, 15_992));
        // A scan that changes nothing goes over all of a picture, and there are a thousand.
        let mut scans = jpeg(16_000, 15_992, 1, true, true);
        scans.truncate(scans.len() - 2);
        (0..1000).for_each(|_| scans.extend(b"\xff\xda\0\x08\x01\x01\0\0\0\0\0"));
        write("scans.jpg", &[&scans[..], b"\xff\xd9"].concat());
        sparse(&scene, &format!("pictures/{twice}/sparse.png"), &png(9, 9, true), 1 << 40);
        let pipe = scene.path(&format!("pictures/{twice}/pipe.png"));
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
        for (target, link) in
            [("/dev/zero", "zero.png"), ("..", "up"), ("../ant", "again"), ("../bee", "too")]
        {
            std::os::unix::fs::symlink(target, scene.path(&format!("pictures/{twice}/{link}"))).unwrap();
        }
    }
    let (ended, most) =
        measured(&scene, "data show pictures -o sheet.png --on-error skip --threads 2 --no-cache");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(most < 2 * GIB, "{} MiB", most >> 20);
    for said in [
        "ant/vast-progressive.jpg: it claims 65500 x 65500 pixels, 4291M; the limit for the pixels of a picture is 256M: \
         --limit pixels=4291M raises it",
        "ant/scans.jpg: it is not supported: it is a JPEG of 1001 scans; 100 are the most",
        "bee/sparse.png: the file is too large, 1024G; the limit for the memory of decoding is 1G: --limit memory=1024G raises it",
        "left out: 4 pictures that are pipes, sockets or devices",
        "links lead to folders that are read already",
    ] {
        assert!(ended.stderr.contains(said), "no '{said}' in: {}", ended.stderr);
    }
    // Ten good ones, the two that are large and whole, and those with a vast profile, which is not needed.
    assert!(ended.stderr.contains("26 of 40 images cannot be read"), "{}", ended.stderr);
    let (ended, most) = measured(&scene, "data stats pictures --threads 2 --json");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let j: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let unread = j["unreadable"].as_array().unwrap().len();
    assert_eq!(j["images"].as_u64().unwrap() - unread as u64, 14, "{}", j["unreadable"]);
    assert!(most < 2 * GIB, "{} MiB", most >> 20);
}

#[cfg(target_os = "linux")]
#[test]
fn a_panorama_works_and_limits_are_raised_and_lowered_by_a_flag() {
    let scene = Scene::new();
    scene.write("wide/a/1.jpg", &jpeg(10_000, 20_000, 3, false, true));
    scene.write("wide/a/2.jpg", &jpeg(10_000, 20_000, 1, true, true));
    scene.write("wide/b/3.png", &png(10_000, 20_000, true));
    scene.write("wide/b/4.png", &png(100, 200, true));
    let (ended, most) = measured(&scene, "data show wide --threads 2 --no-cache");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(most < 2 * GIB, "{} MiB", most >> 20);
    // One that needs more than all that may be handed out is alone.
    scene.write("small/a/1.png", &png(2000, 1000, true));
    scene.write("small/b/2.png", &png(1000, 2000, true));
    scene.ok("data show small --threads 2 --no-cache --limit memory=1K");
    scene.refused(
        "data show wide --no-cache --limit pixels=1M",
        1,
        &["20000 x 10000", "--limit pixels=200M"],
    );
    scene.write("limits.toml", b"limit = 'pixels=1M'\n");
    scene.refused("data show wide --no-cache --config limits.toml", 1, &["--limit pixels=200M"]);
    scene.refused("data show wide --limit pixel=1M", 2, &["did you mean 'pixels'"]);
    scene.refused("data show wide --limit memory=much", 2, &["memory=512M"]);
    scene.write("more/a/1.png", &png(20_000, 13_000, true));
    scene.write("more/b/2.png", &png(20, 13, true));
    scene.refused("data show more --no-cache", 1, &["260M", "--limit pixels=260M"]);
    scene.ok("data show more --no-cache --limit pixels=260M");
}

#[test]
fn what_one_limit_refused_is_read_under_another() {
    let scene = Scene::new();
    for i in 0..4 {
        scene.write(&format!("set/{}/{i}.png", ["a", "b"][i % 2]), &png(20, 13, true));
    }
    scene.write("set/a/wide.png", &png(300, 200, true));
    let left_out =
        |flags: &str| scene.alike(&format!("data show set -o s.png --force --on-error skip {flags}")).stderr;
    let one = "1 of 5 images cannot be read";
    assert!(left_out("--limit pixels=10K").contains(one));
    // Kept, and not decoded again, under the same limit; not taken for what another limit lets through.
    assert!(left_out("--limit pixels=10K").contains(one));
    assert!(!left_out("").contains(one));
    assert!(left_out("--limit pixels=10K").contains(one));
}

#[cfg(target_os = "linux")]
#[test]
fn archives_and_arrays_that_ask_for_much_are_refused() {
    let scene = Scene::new();
    // 300 MB in 300 KB.
    let bomb = zip("a/1.png", &png(9, 9, true), 300 << 20);
    scene.write("bomb.zip", &bomb);
    refused(&scene, "data show bomb.zip --threads 2", &["--limit member=307201K"]);
    refused(&scene, "data show bomb.zip --threads 2 --on-error skip", &["--limit member=307201K"]);
    scene.write("table.zip", &zip("manifest.csv", b"path,label\n", 300 << 20));
    refused(&scene, "data show table.zip", &["--limit member=307201K"]);
    scene.write("x.npz", &zip("x.npy", &npy("314572800, 1, 1"), 300 << 20));
    refused(&scene, "data show x.npz", &["x is too large", "--limit member=307201K"]);
    scene.write("rows.npz", &zip("x.npy", &npy("31457280, 1, 1"), 30 << 20));
    refused(&scene, "data show rows.npz", &["--limit images=31458K"]);
    scene.write("header.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff{'descr': '|u1'");
    refused(&scene, "data show header.npy", &["a header of 4294967295 bytes"]);
    sparse(&scene, "sparse.npy", &npy("1000000, 1024, 1024"), 1 << 40);
    refused(&scene, "data show sparse.npy", &["--limit array=1024G"]);
    // Forty members that share the bytes of one.
    scene.write("overlap.zip", &overlapping(&zip("a/1.png", &png(9, 9, true), 1 << 20), 40));
    refused(
        &scene,
        "data show overlap.zip --limit unpacked=16M",
        &["its members overlap", "--limit unpacked="],
    );
    scene.write("a.tar.gz", &gzip(&[], 64 << 20));
    refused(&scene, "data show a.tar.gz --limit unpacked=16M", &["--limit unpacked=32M"]);
    // A name of 64 MB, and then the member that is called so.
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(64 << 20);
    header.set_cksum();
    scene.write("name.tar.gz", &gzip(header.as_bytes(), 65 << 20));
    refused(&scene, "data show name.tar.gz", &["a name in it is too long"]);
    for set in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        scene.write(&format!("idx/{set}.gz"), &gzip(&idx(&[1 << 20, 1 << 10, 1 << 10], vec![]), 1 << 20));
    }
    refused(&scene, "data show idx", &["--limit array=1024G"]);
    sparse(&scene, "sparse.csv", b"path,label\n", 1 << 40);
    refused(&scene, "data show sparse.csv", &["--limit text=1024G"]);
    scene.write("commas.csv", &[&[b','; 30 << 20][..], b"\n"].concat());
    refused(&scene, "data show commas.csv", &["more than 4096 columns"]);
    scene.write("lines.csv", &b"a,b\n".repeat(3_000_000));
    refused(&scene, "data show lines.csv", &["--limit images="]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_square_of_the_number_of_classes() {
    // A table of 6,000 by 6,000 counts alone would take 288 MB, distances of every image to every class mean twice that.
    const CLASSES: usize = 6000;
    let scene = Scene::new();
    let centre = |class: usize, k: usize| ((class * 8 + k).wrapping_mul(2_654_435_761) >> 8) as u16 as f32;
    let rows = (0..2 * CLASSES).flat_map(|i| (0..8).map(move |k| centre(i / 2, k) + (i % 2 * 100) as f32));
    let mut array = npy(&format!("{}, 8", 2 * CLASSES));
    // Floats in the place of bytes.
    let kind = array.windows(3).position(|w| w == b"|u1").unwrap();
    array[kind..kind + 3].copy_from_slice(b"<f4");
    array.extend(rows.flat_map(f32::to_le_bytes));
    scene.write("x.npy", &array);
    let row = |i: usize| format!("{i}.png,c{},{}\n", i / 2, ["train", "test"][i % 2]);
    scene.write(
        "x.csv",
        ("path,label,split\n".to_owned() + &(0..2 * CLASSES).map(row).collect::<String>()).as_bytes(),
    );
    scene.ok("train --data x.npy --network linear(8) --start identity --epochs 0 --out run -q");
    for verb in ["eval run -q", "report run -o page.html -q", "classify run x.npy -q"] {
        let (ended, most) = measured(&scene, verb);
        assert_eq!(ended.code, 0, "{verb}: {}", ended.stderr);
        assert!(most < GIB / 4, "{verb}: {} MiB", most >> 20);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_is_refused_wherever_a_file_is_named() {
    let scene = Scene::new();
    good(&scene);
    for name in ["pipe.csv", "pipe.zip", "pipe.tar", "pipe.npy", "pipe.png"] {
        assert!(Command::new("mkfifo").arg(scene.path(name)).status().unwrap().success());
    }
    for name in ["pipe.csv", "pipe.zip", "pipe.tar", "pipe.npy"] {
        refused(&scene, &format!("data show {name}"), &["it is a pipe, not a file"]);
    }
    refused(&scene, "model show --network @/dev/zero", &["/dev/zero", "it is a device, not a file"]);
    refused(&scene, "model show --network @pipe.csv", &["pipe.csv", "it is a pipe, not a file"]);
    refused(&scene, "model show --config /dev/zero", &["/dev/zero", "it is a device, not a file"]);
    scene.write(
        "named.csv",
        b"path,label\npictures/ant/0.png,a\npictures/bee/1.png,b\npipe.png,a\n/dev/zero,b\n",
    );
    refused(&scene, "data show named.csv --no-cache", &["/dev/zero", "it is a device, not a file"]);
    let (ended, _) = measured(&scene, "data show named.csv --no-cache --on-error skip");
    assert!(ended.code == 0 && ended.stderr.contains("pipe.png: it is a pipe, not a file"), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn networks_checkpoints_and_numbers_that_ask_for_much_are_refused() {
    let scene = Scene::new();
    scene.write("growing.txt", "conv(64, kernel=1, pad=64) ".repeat(5000).as_bytes());
    refused(&scene, "model show --network @growing.txt", &["--limit model="]);
    scene.write("long.txt", "relu ".repeat(1_000_000).as_bytes());
    refused(&scene, "model show --network @long.txt", &["more than 10000 layers"]);
    refused(&scene, "model show --network conv4 --embedding 18446744073709551615", &["--limit model="]);
    refused(&scene, "model show --network gap --input 16384x16384x16384", &["--limit model="]);
    let train = "train --data data --recipe seed --out x --epochs 1 --batch-size 16";
    for (more, why) in [
        ("--loss histogram:num-bins=18446744073709551615", "num-bins must be at most 65536"),
        ("--loss dynamic-soft-margin:num-bins=18446744073709551615", "num-bins must be at most 65536"),
        (
            "--loss contrastive --miner uniform-histogram:num-bins=18446744073709551615",
            "num-bins must be at most 65536",
        ),
        ("--sampler fixed-triplets:count=1000000000", "before the first step"),
        ("--sampler pk:2x400000 --loss contrastive --miner batch-hard", "--limit model="),
        ("--sampler pk:3x18446744073709551615", "a million images"),
    ] {
        refused(&scene, &format!("{train} {more}"), &[why]);
    }
    scene.train("");
    let header = r#"{"__metadata__":{"alike":"{\"version\":1,\"network\":\"linear(4096) l2\",\"input\":\"16384x16384x16384\"}"}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    scene.write("run/last.safetensors", &file);
    refused(&scene, "eval run", &["last.safetensors", "--limit model="]);
    sparse(&scene, "run/last.safetensors", &file, 1 << 40);
    refused(&scene, "eval run", &["last.safetensors", "--limit model=1024G"]);
}
