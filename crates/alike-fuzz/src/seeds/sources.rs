//! Tables, arrays and archives that are taken.

use super::pictures;
use crate::scratch::joined;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Write};
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

pub(crate) fn manifest() -> Vec<Vec<u8>> {
    let texts = [
        "path,label,split,group\n1.png,a,train,x\nb/2.bmp,b,test,y\n",
        "image;class;x1;y1;x2;y2\n1.png;a;0;0;5;5\n1.png;b;2;2;9;7\nb/2.bmp;b;1;1;4;4\n",
        "file_name\tlabel\tis_query\tis_gallery\n./1.png\ta\t1\t0\nb\\2.bmp\tb\t0\t1\n",
        "\u{feff}path,label,category\n\"1.png\",\"a \"\"b\"\"\",k\nb/2.bmp,c,k\n",
        "{\"file_name\": \"1.png\", \"label\": 3, \"split\": \"train\"}\n{\"file_name\": \"b/2.bmp\", \"label\": \"b\"}\n",
        "a,b,same\n1.png,b/2.bmp,1\nb/2.bmp,1.png,0\n",
    ];
    let wide = texts[0].encode_utf16().flat_map(u16::to_le_bytes);
    texts
        .iter()
        .map(|t| t.as_bytes().to_vec())
        .chain([[0xff, 0xfe].into_iter().chain(wide).collect()])
        .collect()
}

fn idx_file(dims: &[u32], data: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| file.extend(d.to_be_bytes()));
    file.extend(data);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).and_then(|()| packed.finish()).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn idx() -> Vec<Vec<u8>> {
    let images = |n: u32| idx_file(&[n, 3, 4], (0..12 * n).map(|i| i as u8));
    let labels = |n: u32| idx_file(&[n], (0..n).map(|i| (i % 2) as u8));
    let plain = [images(4), labels(4), images(2), labels(2)];
    vec![joined(&plain), joined(&plain.each_ref().map(|f| gzip(f)))]
}

fn npy_file(descr: &str, fortran: bool, shape: &str, data: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    file
}

pub(crate) fn npy() -> Vec<Vec<u8>> {
    let numbers = |n: u8| (0..n).flat_map(|i| f32::from(i).to_le_bytes());
    let labels = npy_file("<i8", false, "4,", (0..4u64).flat_map(|i| (i % 2).to_le_bytes()));
    let text = npy_file("<U2", false, "4,", "abcabcda".chars().flat_map(|c| u32::from(c).to_le_bytes()));
    let names = npy_file("|S3", false, "4,", b"ab\0cd\0ab\0cde".to_vec());
    [
        (npy_file("|u1", false, "4, 3, 2", 0..24), labels.clone()),
        (npy_file("|u1", true, "4, 3, 2, 3", 0..72), text),
        (npy_file("<f4", false, "4, 3", numbers(12)), labels),
        (npy_file(">f2", true, "4, 3", (0..24).map(|i| i % 2 * 60)), names),
        (
            npy_file("|b1", false, "4, 2, 2", (0..16).map(|i| i % 2)),
            npy_file("|b1", false, "4,", [0, 1, 0, 1]),
        ),
    ]
    .map(|(x, y)| joined(&[x, y]))
    .to_vec()
}

fn zip_file(members: &[(&str, Vec<u8>)], options: SimpleFileOptions) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        match name.strip_suffix('@') {
            Some(link) => zip.add_symlink(link, String::from_utf8_lossy(bytes), options)?,
            None => {
                zip.start_file(*name, options)?;
                zip.write_all(bytes)?;
            }
        }
    }
    Ok(zip.finish()?.into_inner())
}

fn zips(members: &[(&str, Vec<u8>)]) -> Vec<Vec<u8>> {
    [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated]
        .map(|m| SimpleFileOptions::default().compression_method(m))
        .map(|options| zip_file(members, options).unwrap_or_else(|e| panic!("{e}")))
        .to_vec()
}

pub(crate) fn npz() -> Vec<Vec<u8>> {
    let x = |n: u32| npy_file("|u1", false, &format!("{n}, 2, 2"), 0..4 * n as u8);
    let y = |n: u32| npy_file("<i4", false, &format!("{n},"), (0..n).flat_map(u32::to_le_bytes));
    let mut all = zips(&[("x.npy", x(4)), ("y.npy", y(4)), ("other.npy", y(2))]);
    all.extend(zips(&[
        ("x_train.npy", x(3)),
        ("y_train.npy", y(3)),
        ("test_images.npy", x(2)),
        ("test_labels.npy", y(2)),
    ]));
    all
}

/// Names and contents that archives of several kinds hold; a name that ends in `@` is a link.
fn contents() -> Vec<Vec<(&'static str, Vec<u8>)>> {
    let (png, bmp) = (pictures::png(), pictures::bmp());
    vec![
        vec![
            ("train/a/1.png", png.to_vec()),
            ("train/b/2.bmp", bmp.to_vec()),
            ("test/a/3.png", png.to_vec()),
            ("test/b/4.png@", b"../../train/b/2.bmp".to_vec()),
            ("again@", b"train".to_vec()),
        ],
        vec![
            ("manifest.csv", b"path,label,group\n1.png,a,x\nb/2.bmp,b,y\n".to_vec()),
            ("1.png", png.to_vec()),
            ("b/2.bmp", bmp.to_vec()),
        ],
        vec![
            ("000.png", png.to_vec()),
            ("000.cls", b"3".to_vec()),
            ("001.bmp", bmp.to_vec()),
            ("001.json", b"{\"label\": 4}".to_vec()),
        ],
        vec![
            ("run01/class_labels.txt", b"run01/test/1.png run01/training/1.png\n".to_vec()),
            ("run01/test/1.png", png.to_vec()),
            ("run01/training/1.png", bmp.to_vec()),
        ],
    ]
}

pub(crate) fn zip() -> Vec<Vec<u8>> {
    contents().iter().flat_map(|members| zips(members)).collect()
}

fn tar_file(members: &[(&str, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (i, (name, bytes)) in members.iter().enumerate() {
        let mut header = if i % 2 == 0 { Header::new_gnu() } else { Header::new_ustar() };
        if let Some(link) = name.strip_suffix('@') {
            header.set_entry_type(if i % 2 == 0 { EntryType::Symlink } else { EntryType::Link });
            header.set_size(0);
            tar.append_link(&mut header, link, String::from_utf8_lossy(bytes).as_ref())?;
        } else {
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, &bytes[..])?;
        }
    }
    let long = format!("{}/1.png", "long".repeat(60));
    let mut header = Header::new_gnu();
    header.set_size(2);
    tar.append_data(&mut header, long, &b"no"[..])?;
    tar.append_pax_extensions([("path", &b"b/5.png"[..]), ("size", b"2")])?;
    let mut header = Header::new_ustar();
    header.set_size(2);
    tar.append_data(&mut header, "short.png", &b"no"[..])?;
    tar.into_inner()
}

pub(crate) fn tar() -> Vec<Vec<u8>> {
    let plain: Vec<Vec<u8>> =
        contents().iter().map(|c| tar_file(c).unwrap_or_else(|e| panic!("{e}"))).collect();
    plain.iter().cloned().chain(plain.iter().take(1).map(|t| gzip(t))).collect()
}

pub(crate) fn cifar() -> Vec<Vec<u8>> {
    let ten =
        |n: usize| -> Vec<u8> { (0..n * 3073).map(|i| if i % 3073 == 0 { 1 } else { i as u8 }).collect() };
    let hundred = |n: usize| -> Vec<u8> { (0..n * 3074).map(|i| (i % 3074 % 251) as u8).collect() };
    let names = || b"airplane\nautomobile\n\nbird\n".to_vec();
    vec![joined(&[ten(2), ten(1), names(), names()]), joined(&[hundred(2), hundred(1), names(), names()])]
}
