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

/// A file of prepared images, from its footer on, whose tail has the lengths and sums that it should have.
pub(crate) fn cache(head: &[u8], footer: &[u8], list: u64) -> Vec<u8> {
    let sum = xxhash_rust::xxh3::xxh3_64(&[head, footer].concat());
    [footer, &list.to_le_bytes(), &sum.to_le_bytes(), b"alike-im"].concat()
}
