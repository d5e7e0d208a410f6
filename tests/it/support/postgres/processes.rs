//! The processes of a server: the one that was started, and one for each connection and each chore.

use rustix::process::{Pid, Signal, kill_process};

/// The children of a process. Where there is no `/proc` none are known, and they see by themselves that it is gone.
pub fn children(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|id| status(*id).is_some_and(|(_, of)| of == parent)).collect()
}

/// Whether a process is still running; one that is dead and not buried is not.
pub fn is_running(id: u32) -> bool {
    status(id).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

pub fn signal(ids: &[u32], signal: Signal) {
    for id in ids {
        // It may be gone already.
        let _ = kill_process(Pid::from_raw(i32::try_from(*id).unwrap()).unwrap(), signal);
    }
}

/// The state of a process and its parent: `1234 (its name) S 1 …`.
fn status(id: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (state, rest) = text.rsplit_once(") ")?.1.split_once(' ')?;
    Some((state.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}
