//! The floor under single pushes: the insert that each of them comes to, and nothing else, by pgbench.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use super::program;
use crate::Result;
use crate::workload::data;

/// One row of the size and under the keys of a push's record, committed by itself. The id is made by the server, since
/// pgbench makes no text.
const SCRIPT: &str = r"\set n :n + 1
\set space :client_id * :each + :n % :each + 1
INSERT INTO records (space_id, rev, collection_id, id, deleted, modified_at, data)
VALUES (:space, :n, :space, gen_random_uuid()::text, FALSE, 1795377600000000 + :n, :data);
";

/// Inserts rows into spaces, `each` for each of `clients`, for whole seconds; answers how many a second. Revisions begin
/// after `first`.
pub fn inserts(url: &str, clients: usize, each: usize, first: u64, duration: Duration) -> Result<f64> {
    let mut text = String::new();
    data(&mut text, first);
    let mut pgbench = program("pgbench");
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--file=-"]);
    pgbench.arg(format!("--client={clients}")).arg(format!("--time={}", duration.as_secs().max(1)));
    pgbench.arg(format!("--define=n={first}")).arg(format!("--define=each={each}"));
    pgbench.arg(format!("--define=data={text}")).arg(url);
    let mut process = pgbench.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = process.stdin.take() {
        input.write_all(SCRIPT.as_bytes())?;
    }
    let output = process.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    // tps = 1234.567890 (without initial connection time)
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    match rate {
        Some(rate) if output.status.success() => Ok(rate),
        _ => Err(format!("pgbench: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)).into()),
    }
}
