//! Sums put right, so that a change gets beyond the check of a sum.

/// A PNG whose chunks have the sums that they should have.
pub(crate) fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut file = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n").map(|_| bytes.to_vec())?;
    let mut at = 8;
    while let Some(head) = file.get(at..at + 8) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at.checked_add(8)?.checked_add(len)?;
        if file.len() < end + 4 {
            break;
        }
        let mut sum = flate2::Crc::new();
        sum.update(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&sum.sum().to_be_bytes());
        at = end + 4;
    }
    Some(file)
}

/// A tar archive in which every block that could be a header has the sum that one should have.
pub(crate) fn tar(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    for block in file.chunks_exact_mut(512).filter(|b| b[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    file
}

/// A file of prepared images, from its footer on, whose tail has the sum that it should have.
pub(crate) fn cache(head: &[u8], footer: &[u8]) -> Vec<u8> {
    let sum = xxhash_rust::xxh3::xxh3_64(&[head, footer].concat());
    [footer, &sum.to_le_bytes(), b"alike-im"].concat()
}

/// A file of codes with the sum that it should have.
pub(crate) fn codes(bytes: &[u8]) -> Option<Vec<u8>> {
    let (content, _) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    Some([content, &xxhash_rust::xxh3::xxh3_64(content).to_ne_bytes()].concat())
}

/// A checkpoint whose header is as long as it says: up to the last bracket before what is no text.
pub(crate) fn checkpoint(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.get(8..)?;
    let end = text.iter().position(|b| !b.is_ascii_graphic() && *b != b' ').unwrap_or(text.len());
    let end = text[..end].iter().rposition(|b| *b == b'}')? + 1;
    let header = text[..end].iter().chain(text[end..].iter().take_while(|b| **b == b' ')).count();
    Some([&(header as u64).to_le_bytes()[..], text].concat())
}

/// An array whose header is as long as it says: up to the end of its line.
pub(crate) fn npy(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.strip_prefix(b"\x93NUMPY\x01\0").and_then(|b| b.get(2..))?;
    let len = text.iter().position(|b| *b == b'\n')? + 1;
    let len = u16::try_from(len).ok()?.to_le_bytes();
    Some([b"\x93NUMPY\x01\0", &len[..], text].concat())
}

/// A zip archive whose members, where they are stored as they are, have the sums that they should have.
pub(crate) fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    let two = |b: &[u8], at: usize| usize::from(u16::from_le_bytes([b[at], b[at + 1]]));
    let four = |b: &[u8], at: usize| two(b, at) | two(b, at + 2) << 16;
    for at in 0..bytes.len().saturating_sub(46) {
        let head = &bytes[at..at + 46];
        if !head.starts_with(b"PK\x01\x02") || two(head, 10) != 0 {
            continue;
        }
        let (size, local) = (four(head, 20), four(head, 42));
        let Some(start) = bytes.get(local..local.saturating_add(30)) else { continue };
        let start = local + 30 + two(start, 26) + two(start, 28);
        let Some(content) = bytes.get(start..start.saturating_add(size)) else { continue };
        let mut sum = flate2::Crc::new();
        sum.update(content);
        file[at + 16..at + 20].copy_from_slice(&sum.sum().to_le_bytes());
        if let Some(own) = file.get_mut(local + 14..local + 18) {
            own.copy_from_slice(&sum.sum().to_le_bytes());
        }
    }
    file
}
