//! `strandline spaces quota`: shows how much a space may hold, and changes it.

use clap::Args;
use serde::Serialize;

use crate::cli::CliError;
use crate::cli::output::{bytes, print, table};
use crate::cli::target::{MayCreate, Target, TargetArgs};
use crate::config::size;
use crate::domain::{Allowance, QuotaChange, SpaceName};
use crate::http::wire::quota::{Bound, SpaceQuota};

/// Show how much a space may hold, or change it
///
/// What would leave a space above its quota, and fuller than before, is refused as a whole; what makes room never is. The
/// server has defaults for spaces that say nothing themselves (`serve --max-space-records` and so on).
#[derive(Debug, Args)]
pub struct QuotaArgs {
    /// The space
    name: SpaceName,
    /// Live records
    #[arg(long, value_name = "N|none|default", value_parser = count)]
    records: Option<Allowance>,
    /// Bytes of the live records' ids and data: a number, or one with KiB, MiB or GiB
    #[arg(long, value_name = "SIZE|none|default", value_parser = bytes_of)]
    bytes: Option<Allowance>,
    /// Bytes of one record's data
    #[arg(long, value_name = "SIZE|none|default", value_parser = bytes_of)]
    record_bytes: Option<Allowance>,
    #[command(flatten)]
    target: TargetArgs,
}

fn count(text: &str) -> Result<Allowance, String> {
    allowance(text, |text| text.parse().map_err(|_| "a quota is a whole number, `none` or `default`".into()))
}

fn bytes_of(text: &str) -> Result<Allowance, String> {
    allowance(text, |text| match text {
        "0" => Ok(0),
        text => size(text)
            .map(|size| size as u64)
            .map_err(|_| "a quota is a size such as 64KiB, 10MiB or 2GiB, `none` or `default`".into()),
    })
}

fn allowance(text: &str, number: impl FnOnce(&str) -> Result<u64, String>) -> Result<Allowance, String> {
    match text {
        "none" => Ok(Allowance::Unlimited),
        "default" => Ok(Allowance::Default),
        text => {
            let limit = number(text)?;
            // A store keeps it in a signed column.
            i64::try_from(limit).map_err(|_| format!("a quota is at most {}", i64::MAX))?;
            Ok(Allowance::Limited(limit))
        }
    }
}

/// A space with its quota.
#[derive(Serialize)]
struct Shown {
    space: String,
    #[serde(flatten)]
    quota: SpaceQuota,
}

/// Runs the command.
pub async fn run(args: QuotaArgs, json: bool) -> Result<(), CliError> {
    let QuotaArgs { name, records, bytes, record_bytes, target } = args;
    let change = QuotaChange { records, bytes, record_bytes };
    let target = target.open(MayCreate::No).await?;
    let quota = carry_out(&*target, &name, change).await;
    target.close().await;
    let shown = Shown { space: name.to_string(), quota: quota? };
    print(json, &shown, || describe(&shown.quota))
}

async fn carry_out(target: &dyn Target, name: &SpaceName, change: QuotaChange) -> Result<SpaceQuota, CliError> {
    if change == QuotaChange::default() { target.quota(name).await } else { target.set_quota(name, change).await }
}

fn describe(quota: &SpaceQuota) -> String {
    let number = |count: u64| count.to_string();
    let row =
        |what: &str, said: Option<Bound>, counts: Option<Bound>, used: Option<u64>, show: &dyn Fn(u64) -> String| {
            let bound = |bound| match bound {
                Bound::Limited(limit) => show(limit),
                Bound::Unlimited(_) => "none".into(),
            };
            let mut row = vec![what.into(), said.map_or_else(|| "default".into(), bound)];
            // A database does not know what its server has for a default.
            row.extend(quota.effective.is_some().then(|| counts.map_or_else(String::new, bound)));
            row.push(used.map_or_else(String::new, show));
            row
        };
    let counts = quota.effective.as_ref();
    let (records, size) = (counts.map(|counts| counts.records), counts.map(|counts| counts.bytes));
    let one = counts.map(|counts| counts.record_bytes);
    let rows = [
        row("records", quota.records, records, Some(quota.used.records), &number),
        row("bytes", quota.bytes, size, Some(quota.used.bytes), &bytes),
        row("record bytes", quota.record_bytes, one, None, &bytes),
    ];
    let header: &[&str] = if counts.is_some() { &["OF", "QUOTA", "COUNTS", "USED"] } else { &["OF", "QUOTA", "USED"] };
    table(header, &rows)
}
