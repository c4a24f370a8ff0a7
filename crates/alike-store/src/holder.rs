//! Who holds a database that is locked, where the system tells.

use std::path::{Path, PathBuf};

/// How often the list of locks is read.
#[cfg(target_os = "linux")]
const READS: usize = 5;

/// The process that holds a lock of a database, as `alike collection sync (process 4711)`; nothing where nobody can tell.
pub(crate) fn of(database: &Path) -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let with = |ending: &str| -> PathBuf {
            let mut name = database.as_os_str().to_owned();
            name.push(ending);
            name.into()
        };
        // In write-ahead mode locks are held on the shared index.
        let files = [with("-shm"), database.to_owned()];
        let own = std::process::id();
        let inodes: Vec<u64> = files
            .iter()
            .filter_map(|file| {
                use std::os::unix::fs::MetadataExt;
                Some(std::fs::metadata(file).ok()?.ino())
            })
            .collect();
        // The system lists locks piece by piece: where others come and go meanwhile, one may be missing.
        let pid = (0..READS).find_map(|read| {
            if read > 0 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            let locks = std::fs::read_to_string("/proc/locks").ok()?;
            inodes.iter().find_map(|inode| writers(&locks, *inode).find(|pid| *pid != own))
        })?;
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|b| *b == 0).filter(|w| !w.is_empty()).take(3).collect();
        let said: Vec<String> = words.iter().map(|w| base(&String::from_utf8_lossy(w))).collect();
        let said = said.join(" ");
        Some(if said.is_empty() { format!("process {pid}") } else { format!("process {pid} ({said})") })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _: (&Path, Option<PathBuf>) = (database, None);
        None
    }
}

/// The last part of a path, as a line may have it.
#[cfg(target_os = "linux")]
fn base(word: &str) -> String {
    const MOST: usize = 30;
    let name = word.rsplit('/').next().unwrap_or(word);
    name.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Processes with a lock for writing on a file, as `/proc/locks` lists them: `1: POSIX ADVISORY WRITE 4711 08:01:1234 120 120`.
#[cfg(target_os = "linux")]
fn writers(locks: &str, inode: u64) -> impl Iterator<Item = u32> + '_ {
    locks.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|w| *w == "WRITE")?;
        let of = words.get(at + 2)?.rsplit(':').next()?.parse::<u64>().ok()?;
        (of == inode).then(|| words.get(at + 1)?.parse().ok()).flatten()
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn lines_of_the_system_are_read() {
        let text = "1: POSIX  ADVISORY  WRITE 4711 fd:00:99 120 120\n2: POSIX  ADVISORY  READ 12 fd:00:99 123 123\n\
                    2: -> POSIX  ADVISORY  WRITE 13 fd:00:98 120 120\n";
        assert_eq!(super::writers(text, 99).collect::<Vec<_>>(), [4711]);
        assert_eq!(super::writers(text, 98).collect::<Vec<_>>(), [13]);
    }
}
