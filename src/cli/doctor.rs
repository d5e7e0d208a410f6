//! `strandline doctor`: whether a database is as it must be, while servers may be running on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::CliError;
use super::output::{plural, print};
use super::target::{DatabaseArgs, MayCreate, must_exist};
use crate::domain::SpaceName;
use crate::store::{self, Fault, Finding, Inspector, Remedy, SpaceKey, StoreError, Watch};

const EXIT_CODES: &str = "Exit codes: 0 all is as it must be; 1 failed; 2 usage; 3 something was not, also where --repair \
                          has mended it now.";

/// Look whether a database is as it must be
///
/// Counts every space anew and compares: counts, checksums and bytes with the rows, heads with the newest rows, horizons
/// with the tombstones, times, epochs, data and names, indexes, and what belongs to no space. Servers may be running:
/// each space is looked at in one snapshot. With --repair, what the rows themselves prove is put right, in a transaction a
/// space, under the lock that its writes take: a space of a million records takes no writes for a second or two then. What
/// cannot be known is left as it is, and told with what to do; into a database that is damaged itself nothing is written.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DoctorArgs {
    /// Only this space, and of the database as a whole no more than a repair needs to know
    #[arg(long, value_name = "NAME")]
    space: Option<SpaceName>,
    /// Mend what can be mended safely
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What was looked at, and what was found.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    spaces: u64,
    rows: u64,
}

/// Runs the command.
pub async fn run(args: DoctorArgs, json: bool) -> Result<(), CliError> {
    let begun = Instant::now();
    must_exist(&args.database.database, MayCreate::No)?;
    let inspector = store::inspector(&args.database.database).await?;
    let report = look(&*inspector, args.space.as_ref(), args.repair).await?;
    let seconds = begun.elapsed();
    let findings: Vec<Value> = report.findings.iter().map(to_json).collect();
    let summary = json!({
        "sound": report.findings.is_empty(),
        "findings": findings,
        "spaces": report.spaces,
        "rows": report.rows,
        "seconds": (seconds.as_secs_f64() * 1000.0).round() / 1000.0,
    });
    print(json, &summary, || describe(&report, seconds))?;
    report.verdict()
}

async fn look(inspector: &dyn Inspector, only: Option<&SpaceName>, repair: bool) -> Result<Report, CliError> {
    let bar = ProgressBar::new_spinner().with_message("looking at the database");
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut report = Report::default();
    // Of one space, the database as a whole matters only as far as that may be written to at all.
    if only.is_none() {
        report.findings.extend(inspector.database(repair).await?);
    } else if repair {
        let damage = inspector.database(false).await?.into_iter().filter(|found| found.fault == Fault::Damaged);
        report.findings.extend(damage);
    }
    // What is read from a damaged database proves nothing.
    let repair = repair && report.findings.iter().all(|found| found.fault != Fault::Damaged);
    let mut spaces = inspector.spaces().await?;
    if let Some(name) = only {
        spaces.retain(|space| space.name == name.as_str());
        if spaces.is_empty() {
            return Err(CliError::NoSpace(name.clone()));
        }
    }
    for space in &spaces {
        match inspector.space(space, repair, watch(&bar, space)).await {
            Ok(Some((findings, rows))) => {
                report.findings.extend(findings);
                report.spaces += 1;
                report.rows += rows;
            }
            // Deleted since the list was read.
            Ok(None) => {}
            Err(StoreError::Internal(why)) => {
                report.findings.push(Finding::of(Fault::Unreadable).space(&space.name).stored(why));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let one = only.and(spaces.first());
    match inspector.history(one, repair).await {
        Ok(findings) => report.findings.extend(findings),
        // What is the matter was told of the spaces already.
        Err(StoreError::Internal(_)) if !report.findings.is_empty() => {}
        Err(error) => return Err(error.into()),
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Shows on a terminal how far the look at a space is.
fn watch(bar: &ProgressBar, space: &SpaceKey) -> Watch {
    let (bar, name) = (bar.clone(), space.name.clone());
    bar.set_message(format!("looking at {name}"));
    Arc::new(move |rows, of| {
        if let Ok(style) = ProgressStyle::with_template("{msg} [{wide_bar}] {percent}% {eta}") {
            bar.set_style(style);
        }
        bar.set_length(of.max(rows));
        bar.set_position(rows);
        bar.set_message(format!("looking at {name}: {} rows", HumanCount(rows)));
    })
}

impl Report {
    fn verdict(&self) -> Result<(), CliError> {
        let all = self.findings.len() as u64;
        let of = |wanted: &Remedy| self.findings.iter().filter(|finding| finding.remedy == *wanted).count() as u64;
        let (mended, mendable) = (of(&Remedy::Mended), of(&Remedy::Repair));
        let wrong = plural(all, "thing was not as it must be", "things were not as they must be");
        match (all, all - mended) {
            (0, _) => Ok(()),
            (_, 0) => Err(CliError::NotRight(format!("{wrong}; all is mended now"))),
            (_, _) if mendable == all => {
                Err(CliError::NotRight(format!("{wrong}: `strandline doctor --repair` mends that")))
            }
            (_, _) if mendable > 0 => Err(CliError::NotRight(format!(
                "{wrong}: `strandline doctor --repair` mends {mendable} of them; for the others see above"
            ))),
            (_, left) => Err(CliError::NotRight(format!("{wrong}; {left} cannot be mended safely: see above"))),
        }
    }
}

fn to_json(finding: &Finding) -> Value {
    let advice = match &finding.remedy {
        Remedy::Advice(advice) => Some(advice),
        Remedy::Repair | Remedy::Mended => None,
    };
    json!({
        "fault": finding.fault.word(),
        "detail": finding.fault.sentence(),
        "space": finding.space,
        "collection": finding.collection,
        "stored": finding.stored,
        "rows": finding.rows,
        "count": finding.count,
        "mended": finding.remedy == Remedy::Mended,
        "repairable": finding.remedy == Remedy::Repair,
        "advice": advice,
    })
}

fn describe(report: &Report, took: Duration) -> String {
    let spaces = plural(report.spaces, "space", "spaces");
    let rows = plural(report.rows, "row", "rows");
    let took = took.as_secs_f64();
    if report.findings.is_empty() {
        return format!("sound: {spaces} with {rows}, {took:.1} s");
    }
    let lines: Vec<String> = report.findings.iter().map(line).collect();
    format!("{}\nlooked at {spaces} with {rows}, {took:.1} s", lines.join("\n"))
}

/// A finding as a person reads it: where, what, what is stored and what the rows say, and what is to be done.
fn line(finding: &Finding) -> String {
    let place = match (&finding.space, &finding.collection) {
        (Some(space), Some(collection)) => format!("{space}/{collection}"),
        (Some(space), None) => space.clone(),
        (None, _) => "the database".into(),
    };
    let count = finding.count.map(|count| format!(" ({})", plural(count, "row", "rows"))).unwrap_or_default();
    let said = match (&finding.stored, &finding.rows) {
        (Some(stored), Some(rows)) => format!(": stored {stored}, by the rows {rows}"),
        (Some(stored), None) => format!(": {stored}"),
        (None, Some(rows)) => format!(": by the rows {rows}"),
        (None, None) => String::new(),
    };
    let remedy = match &finding.remedy {
        Remedy::Repair => "--repair mends it",
        Remedy::Mended => "mended",
        Remedy::Advice(advice) => advice,
    };
    format!("{place}: {}{count}{said}\n  {remedy}", finding.fault.sentence())
}
