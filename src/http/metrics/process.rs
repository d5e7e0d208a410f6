//! What Linux knows of this process, under the names that every exporter gives it.

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::writing::Writing;

#[derive(Debug)]
struct Account {
    cpu_seconds: f64,
    started: f64,
    resident: u64,
    descriptors: u64,
    most_descriptors: Option<u64>,
}

/// What is known now; empty where it cannot be read.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::with_prefix("process");
    match Account::read() {
        Ok(account) => registry.register_collector(Box::new(account)),
        Err(error) => log::debug!("no metrics of the process: {error}"),
    }
    registry
}

impl Account {
    #[expect(clippy::cast_precision_loss, reason = "a number of ticks or seconds that a float holds")]
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let booted = procfs::boot_time_secs()? as f64;
        let limit = process.limits()?.max_open_files.soft_limit;
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            started: booted + stat.starttime as f64 / ticks,
            resident: stat.rss_bytes().get(),
            descriptors: process.fd_count()? as u64,
            most_descriptors: match limit {
                LimitValue::Value(limit) => Some(limit),
                LimitValue::Unlimited => None,
            },
        })
    }
}

impl Collector for Account {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut out = Writing(encoder);
        out.counter("cpu_seconds", "Processor time used, in seconds", &self.cpu_seconds)?;
        out.gauge("resident_memory_bytes", "Memory in use, in bytes", &self.resident)?;
        out.gauge("open_fds", "Open file descriptors, connections included", &self.descriptors)?;
        if let Some(most) = self.most_descriptors {
            out.gauge("max_fds", "Open file descriptors that the process may have", &most)?;
        }
        out.gauge("start_time_seconds", "When the process was started, in seconds since 1970", &self.started)
    }
}
