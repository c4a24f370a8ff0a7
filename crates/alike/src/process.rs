//! What a process does that reads a stranger's file in place of another, and how the other understands its end.
//!
//! Decoders and models of others run in such a process where they may take any amount of memory, or end it: whatever they do, the process that asked goes on.

/// Memory that a process takes before it has read a file, in bytes: its own code, and stacks.
pub const BASE_MEMORY: u64 = 1 << 30;

/// Where a system has such limits, allocations beyond this many bytes end the process.
pub fn limit_memory(bytes: u64) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // A system that refuses leaves the limit for time.
        let _ = setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) });
        // A process that is ended on purpose needs no image of its memory.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(not(unix))]
    let _ = bytes;
}

/// Whether a process ended because it had no more memory, by what it said on standard error.
pub fn ran_out_of_memory(said: &str) -> bool {
    // What Rust's allocator says before it ends a process.
    said.contains("memory allocation of")
}
