//! What befalls a server: it dies, it hangs, and another takes its place.

use std::path::PathBuf;
use std::time::Instant;

use rustix::process::Signal;

use super::account::command;
use super::certificates::{AUTHORITY, STRANGER};
use super::cluster::{BLINK, Cluster, PATIENCE};
use super::processes::{children, is_running, signal};

impl Cluster {
    /// SIGKILL to every process at once. What the operating system was given stays.
    pub fn kill(&mut self) {
        let server = self.server_id();
        // So that it starts no others meanwhile.
        signal(&[server], Signal::STOP);
        let all = children(server);
        signal(&all, Signal::KILL);
        signal(&[server], Signal::KILL);
        self.wait_for_its_end();
        let begun = Instant::now();
        while all.iter().any(|id| is_running(*id)) {
            assert!(begun.elapsed() < PATIENCE, "processes do not die");
            std::thread::sleep(BLINK);
        }
    }

    /// SIGSTOP to every process: connections stay open, new ones are accepted by the system, and nothing answers.
    pub fn freeze(&mut self) {
        let server = self.server_id();
        signal(&[server], Signal::STOP);
        let mut all = vec![server];
        all.extend(children(server));
        self.watchdog.watch(&all);
        signal(&all, Signal::STOP);
        self.frozen = all;
    }

    /// It goes on as if nothing had been.
    pub fn thaw(&mut self) {
        let all = std::mem::take(&mut self.frozen);
        signal(&all, Signal::CONT);
        self.watchdog.watch(&all[..1]);
    }

    /// A hot standby that follows this one.
    pub fn standby(&self) -> Self {
        let mut standby = Self::unmade();
        let mut copy = command("pg_basebackup", standby.directory());
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"]);
        copy.args(["--username=postgres", "--port", &self.port().to_string(), "--host"]).arg(self.directory());
        copy.arg("--pgdata").arg(standby.data());
        standby.carry_out(&mut copy);
        standby.resemble(self);
        standby.start_somewhere();
        standby
    }

    /// Waits until this standby has all that `primary` has now.
    pub fn catch_up(&self, primary: &Self) {
        let due: String = primary.admin().ask("SELECT pg_current_wal_lsn()::text");
        let begun = Instant::now();
        while !self.admin().ask::<bool>(&format!("SELECT pg_last_wal_replay_lsn() >= '{due}'")) {
            assert!(begun.elapsed() < PATIENCE, "the standby does not follow\n{}", self.said());
            std::thread::sleep(BLINK);
        }
    }

    /// Makes this standby a primary, on a new timeline.
    pub fn promote(&mut self) {
        let mut promote = command("pg_ctl", self.directory());
        promote.args(["promote", "--wait", "--pgdata"]).arg(self.data());
        self.carry_out(&mut promote);
    }

    /// The certificate of the authority that signed the server's.
    pub fn authority(&self) -> PathBuf {
        self.directory().join(AUTHORITY)
    }

    /// The certificate of an authority that did not.
    pub fn stranger(&self) -> PathBuf {
        self.directory().join(STRANGER)
    }
}
