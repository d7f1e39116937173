//! Processor time, memory and files of the processes under load, from `/proc` and their data folder.

use std::{fs, io, path::Path, time::Duration};

/// Memory and processor time of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time since its start.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    /// The most resident memory since its start, in bytes.
    pub(crate) peak: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let invalid = || io::Error::other("unknown format");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = ticks(&stat).ok_or_else(invalid)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            cpu: Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64),
            resident: bytes(&status, "VmRSS:").ok_or_else(invalid)?,
            peak: bytes(&status, "VmHWM:").ok_or_else(invalid)?,
        })
    }
}

/// `utime` and `stime` of `/proc/PID/stat`. The name of the program, in parentheses, may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// A size of `/proc/PID/status`, which has it in kB.
fn bytes(status: &str, name: &str) -> Option<u64> {
    let size = status.lines().find_map(|line| line.strip_prefix(name))?;
    size.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|size| size * 1024)
}

/// The bytes of all files in a folder. Files that vanish meanwhile do not count.
pub(crate) fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&entry.path()).unwrap_or_default() } else { metadata.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 9 0 100 1 2";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("42 (a) S 1"), None);
    }

    #[test]
    fn memory_is_given_in_bytes() {
        let status = "Name:\tjumun\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((bytes(status, "VmRSS:"), bytes(status, "VmHWM:")), (Some(1_048_576), Some(2_097_152)));
        assert_eq!(bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::of(std::process::id()).expect("Linux");
        assert!(usage.resident > 0 && usage.peak >= usage.resident, "{usage:?}");
    }

    #[test]
    fn a_process_that_does_not_exist_cannot_be_read() {
        // Beyond the highest process id of Linux, 2^22.
        assert!(Usage::of(4_194_305).is_err());
    }
}
