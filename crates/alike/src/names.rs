//! Names of files, as they are shown and as a shell takes them.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

/// A name as text. Bytes that are no text are written as `\xE9`, so that two names stay two.
pub fn shown(name: impl AsRef<OsStr>) -> String {
    let name = name.as_ref();
    if let Some(text) = name.to_str() {
        return text.to_owned();
    }
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}

/// The name that [`shown`] wrote with escapes; nothing if there are none.
pub fn unescaped(text: &str) -> Option<OsString> {
    let bytes = text.as_bytes();
    let (mut name, mut at, mut any) = (Vec::with_capacity(bytes.len()), 0, false);
    while at < bytes.len() {
        let code = text.get(at + 2..at + 4).filter(|_| bytes[at..].starts_with(b"\\x"));
        match code.and_then(|c| u8::from_str_radix(c, 16).ok()).filter(|b| *b >= 0x80) {
            Some(byte) => {
                name.push(byte);
                at += 4;
                any = true;
            }
            None => {
                name.push(bytes[at]);
                at += 1;
            }
        }
    }
    any.then(|| from_bytes(name)).flatten()
}

/// A name of these bytes, where the system allows any.
pub fn from_bytes(bytes: Vec<u8>) -> Option<OsString> {
    #[cfg(unix)]
    {
        Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
    }
    #[cfg(not(unix))]
    {
        String::from_utf8(bytes).ok().map(OsString::from)
    }
}

/// Text as a terminal may have it: characters that would move its cursor, change its colours or turn the direction of writing are
/// written as `\x1B` or `\u{202E}`, and ends of lines too: a file's name may hold one. Tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let unfit = |c: char| (c.is_control() && c != '\t') || turns(c);
    if !text.contains(unfit) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !unfit(c) => clean.push(c),
            c if c.is_ascii() => clean.push_str(&format!("\\x{:02X}", c as u32)),
            c => clean.push_str(&format!("\\u{{{:X}}}", c as u32)),
        }
    }
    Cow::Owned(clean)
}

/// Text of several lines, each as [`printable`] has it.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A word as a shell takes it: as it is where that is safe, else in quotes. Every command that Alike proposes is made with this.
pub fn shell(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let plain = |c: char| c.is_alphanumeric() || "_./:=,+@%-".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', "'\\''")),
        // What would break the line, or is no text, is written by its number.
        _ => {
            let mut quoted = String::from("$'");
            for chunk in word.as_encoded_bytes().utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '\n' => quoted.push_str("\\n"),
                        '\t' => quoted.push_str("\\t"),
                        '\\' | '\'' => quoted.extend(['\\', c]),
                        c if c.is_ascii_control() => quoted.push_str(&format!("\\{:03o}", c as u32)),
                        c => quoted.push(c),
                    }
                }
                chunk.invalid().iter().for_each(|byte| quoted.push_str(&format!("\\{byte:03o}")));
            }
            quoted + "'"
        }
    }
}

/// A path as a shell takes it, which is no flag even if it begins with a dash.
pub fn shell_path(path: impl AsRef<OsStr>) -> String {
    let path = path.as_ref();
    if path.as_encoded_bytes().starts_with(b"-") {
        let mut whole = OsString::from("./");
        whole.push(path);
        return shell(whole);
    }
    shell(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_stay_apart_and_come_back() {
        let bytes = |b: &[u8]| from_bytes(b.to_vec()).unwrap();
        let (one, two) = (bytes(b"caf\xe9.png"), bytes(b"caf\xe8.png"));
        assert_eq!((shown(&one).as_str(), shown(&two).as_str()), ("caf\\xE9.png", "caf\\xE8.png"));
        assert_eq!(unescaped(&shown(&one)), Some(one));
        assert_eq!(unescaped("plain.png"), None);
        assert_eq!(unescaped("a\\x20b"), None, "a byte that is text is never escaped");
    }

    #[test]
    fn a_terminal_gets_no_commands() {
        assert_eq!(printable("plain \tü 日"), "plain \tü 日");
        assert_eq!(printable("two\nlines\r\n"), "two\\x0Alines\\x0D\\x0A");
        assert_eq!(printable_lines("two\nlines\r\n"), "two\nlines\\x0D\n");
        assert_eq!(printable("\x1B[2Ja\rb\u{7f}\u{9b}c\u{202E}"), "\\x1B[2Ja\\x0Db\\x7F\\u{9B}c\\u{202E}");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_back_every_word() {
        let words = [
            "run 1",
            "it's",
            "a\"b\"",
            "$HOME `x` \\",
            "a\nb",
            "*?[a]",
            "#x",
            "~",
            "日本 語",
            "",
            "a;b&c|d",
            "!x",
            "{1..2}",
        ];
        for word in words {
            let said = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {}", shell(word))])
                .output();
            let Ok(said) = said else { return };
            assert_eq!(String::from_utf8_lossy(&said.stdout), word, "{}", shell(word));
        }
        assert_eq!(
            (shell("runs/a-1.png").as_str(), shell_path("-x y").as_str()),
            ("runs/a-1.png", "'./-x y'")
        );
    }
}
