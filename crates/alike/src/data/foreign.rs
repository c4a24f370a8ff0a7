//! Pictures that this build cannot read: known by their names and by their first bytes, with the command that converts them.

use std::collections::BTreeMap;
use std::fmt;

/// A kind of picture that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What it is called.
    pub name: &'static str,
    /// What names end with, after the dot.
    endings: &'static [&'static str],
    /// What it is best converted to.
    to: &'static str,
    /// A program of its own that converts one file, where there is a usual one.
    tool: Option<&'static str>,
}

/// Raw files of cameras, most of which are TIFF files inside.
pub(super) const RAW: Foreign = of(
    "camera raw",
    &[
        "cr2", "cr3", "crw", "nef", "nrw", "dng", "arw", "srf", "sr2", "orf", "rw2", "raf", "pef", "srw",
        "x3f", "3fr", "fff", "iiq", "rwl", "erf", "kdc", "dcr", "mrw", "mef", "mos",
    ],
    "jpg",
    None,
);

const KINDS: [Foreign; 20] = [
    of("HEIC", &["heic", "heif", "hif", "heics", "heifs"], "jpg", Some("heif-convert")),
    of("AVIF", &["avif", "avifs"], "jpg", Some("avifdec")),
    of("JPEG XL", &["jxl"], "jpg", Some("djxl")),
    of("JPEG 2000", &["jp2", "j2k", "j2c", "jpf", "jpx", "jpm"], "jpg", None),
    of("JPEG XR", &["jxr", "wdp", "hdp"], "jpg", None),
    of("JPEG-LS", &["jls"], "png", None),
    RAW,
    of("Photoshop", &["psd", "psb"], "png", None),
    of("GIMP", &["xcf"], "png", None),
    of("SVG", &["svg", "svgz"], "png", Some("rsvg-convert -o")),
    of("EPS", &["eps"], "png", None),
    of("ICO", &["ico", "cur"], "png", None),
    of("TGA", &["tga"], "png", None),
    of("OpenEXR", &["exr"], "png", None),
    of("Radiance HDR", &["hdr"], "png", None),
    of("DDS", &["dds"], "png", None),
    of("QOI", &["qoi"], "png", None),
    of("PCX", &["pcx"], "png", None),
    of("DICOM", &["dcm", "dicom"], "png", None),
    of("FITS", &["fits", "fit", "fts"], "png", None),
];

const fn of(
    name: &'static str,
    endings: &'static [&'static str],
    to: &'static str,
    tool: Option<&'static str>,
) -> Foreign {
    Foreign { name, endings, to, tool }
}

fn called(name: &str) -> Option<Foreign> {
    KINDS.into_iter().find(|k| k.name == name)
}

/// The kind of picture that a file's name says it is, if it is one that is not read.
pub fn unreadable_kind(name: &str) -> Option<Foreign> {
    let (_, ending) = name.rsplit_once('.')?;
    KINDS.into_iter().find(|k| k.endings.iter().any(|e| e.eq_ignore_ascii_case(ending)))
}

/// The kind of picture that a file's beginning says it is, if it is one that is not read.
pub(super) fn sniff(bytes: &[u8]) -> Option<Foreign> {
    let starts = |with: &[u8]| bytes.starts_with(with);
    // A box of the ISO media format: its size, `ftyp`, the main brand, a version, more brands.
    if bytes.get(4..8) == Some(b"ftyp") {
        let size = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let end = size.clamp(8, 256).min(bytes.len());
        let brands: Vec<&[u8]> = bytes[8..end].chunks_exact(4).collect();
        let any = |list: &[&[u8; 4]]| brands.iter().any(|b| list.iter().any(|l| b == &&l[..]));
        return if any(&[b"avif", b"avis"]) {
            called("AVIF")
        } else if any(&[b"crx "]) {
            called("camera raw")
        } else if any(&[
            b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
        ]) {
            called("HEIC")
        } else if any(&[b"jp2 ", b"jpx ", b"jpm "]) {
            called("JPEG 2000")
        } else {
            None
        };
    }
    const MARKS: [(&[u8], &str); 22] = [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"\xff\xd8\xff\xf7", "JPEG-LS"),
        (b"II\xbc\x01", "JPEG XR"),
        (b"FUJIFILMCCD-RAW", "camera raw"),
        (b"IIU\0", "camera raw"),
        (b"IIRO", "camera raw"),
        (b"IIRS", "camera raw"),
        (b"MMOR", "camera raw"),
        (b"FOVb", "camera raw"),
        (b"8BPS", "Photoshop"),
        (b"gimp xcf", "GIMP"),
        (b"%!PS", "EPS"),
        (b"\0\0\x01\0", "ICO"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"#?RGBE", "Radiance HDR"),
        (b"DDS ", "DDS"),
        (b"qoif", "QOI"),
        (b"SIMPLE  =", "FITS"),
    ];
    if let Some((_, name)) = MARKS.iter().find(|(mark, _)| starts(mark)) {
        return called(name);
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return called("DICOM");
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let svg = text.starts_with("<svg") || text.starts_with("<?xml") || text.starts_with("<!");
    (svg && text.contains("<svg")).then(|| called("SVG")).flatten()
}

impl Foreign {
    /// How such files are converted; `ending` is what their names end with.
    pub fn advice(&self, ending: &str) -> String {
        let to = self.to;
        let one = match self.tool {
            Some(tool) if tool.ends_with("-o") => {
                format!(", or one at a time: {tool} FILE.{to} FILE.{ending}")
            }
            Some(tool) => format!(", or one at a time: {tool} FILE.{ending} FILE.{to}"),
            None => String::new(),
        };
        format!("convert them with ImageMagick: mogrify -format {to} *.{ending}{one}")
    }

    /// What it is, and how such a file is converted.
    pub(super) fn sentence(&self) -> String {
        format!(
            "it is a {} picture, which this build cannot read; {}",
            self.name,
            self.advice(self.endings[0])
        )
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Pictures of a source that are left out because this build cannot read them: by kind, how many, and what the first one's
/// name ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread(BTreeMap<&'static str, (usize, String)>);

impl Unread {
    /// Counts a file, if its name is that of such a picture.
    pub fn add(&mut self, name: &str) -> bool {
        let Some(kind) = unreadable_kind(name) else { return false };
        let ending = name.rsplit_once('.').map_or(kind.endings[0], |(_, e)| e);
        self.0.entry(kind.name).or_insert((0, ending.to_owned())).0 += 1;
        true
    }

    /// Counts what another part of the source has.
    pub fn merge(&mut self, other: Unread) {
        for (kind, (n, ending)) in other.0 {
            self.0.entry(kind).or_insert((0, ending)).0 += n;
        }
    }

    /// How many, by kind.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.0.iter().map(|(kind, (n, _))| (*kind, *n)).collect()
    }

    /// A sentence for every kind: how many, and the command that converts them.
    pub fn sentences(&self) -> Vec<String> {
        let said = self.0.iter().filter_map(|(name, (n, ending))| {
            let advice = called(name)?.advice(ending);
            let (pictures, them) = if *n == 1 { ("picture is", "it") } else { ("pictures are", "them") };
            Some(format!("{n} {name} {pictures} left out: this build cannot read {them}; {advice}"))
        });
        said.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_name_and_by_content() {
        let named = |name: &str| unreadable_kind(name).map(|k| k.name);
        assert_eq!(named("a/IMG_0001.HEIC"), Some("HEIC"));
        assert_eq!(named("x.nef"), Some("camera raw"));
        assert_eq!(named("x.jpg"), None);
        assert_eq!(named("heic"), None);
        let sniffed = |bytes: &[u8]| sniff(bytes).map(|k| k.name);
        assert_eq!(sniffed(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), Some("HEIC"));
        assert_eq!(
            sniffed(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"),
            Some("AVIF"),
            "the main brand is a general one"
        );
        assert_eq!(sniffed(b"\0\0\0\x14ftypmp42\0\0\0\0mp42"), None, "a film");
        assert_eq!(sniffed(b"\0\0\0\x08ftyp"), None);
        assert_eq!(sniffed(b"8BPS\0\x01"), Some("Photoshop"));
        assert_eq!(sniffed(b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg width=\"3\"/>"), Some("SVG"));
        assert_eq!(sniffed(b"<html><svg>"), None);
        assert_eq!(sniffed(b""), None);
        // No ending is of two kinds, or of one that is read.
        let all: Vec<&str> = KINDS.iter().flat_map(|k| k.endings.iter().copied()).collect();
        let once: std::collections::BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), once.len());
        assert!(all.iter().all(|e| !super::super::is_picture(&format!("x.{e}"))));
    }

    #[test]
    fn what_is_left_out_is_said_by_kind_with_the_command() {
        let mut unread = Unread::default();
        assert!((0..20).all(|i| unread.add(&format!("IMG_{i}.HEIC"))));
        assert!(unread.add("drawing.svg") && !unread.add("notes.txt"));
        let mut more = Unread::default();
        more.add("b.heic");
        unread.merge(more);
        assert_eq!(unread.counts(), BTreeMap::from([("HEIC", 21), ("SVG", 1)]));
        assert_eq!(
            unread.sentences(),
            [
                "21 HEIC pictures are left out: this build cannot read them; convert them with ImageMagick: mogrify \
                 -format jpg *.HEIC, or one at a time: heif-convert FILE.HEIC FILE.jpg",
                "1 SVG picture is left out: this build cannot read it; convert them with ImageMagick: mogrify \
                 -format png *.svg, or one at a time: rsvg-convert -o FILE.png FILE.svg",
            ]
        );
    }
}
