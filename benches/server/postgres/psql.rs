//! The floor under reading: psql, which writes what it is sent to `/dev/null`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use super::program;
use crate::Result;

/// Questions between two looks at the clock. psql has them lying ready, so that it never waits for the next one.
const BLOCK: u64 = 20;

/// A psql that waits for questions.
pub struct Psql {
    process: Child,
    input: ChildStdin,
    /// Where `\warn` writes, at once.
    output: BufReader<ChildStderr>,
}

impl Psql {
    /// Starts one, and waits until it is connected.
    pub fn open(url: &str) -> Result<Self> {
        let mut psql = program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        psql.args(["--output=/dev/null", url]);
        let mut process = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let (input, output) = (process.stdin.take(), process.stderr.take());
        let (Some(input), Some(output)) = (input, output) else { return Err("psql has no pipes".into()) };
        let mut this = Self { process, input, output: BufReader::new(output) };
        this.block(std::iter::once("SELECT 1".to_owned()))?;
        this.wait()?;
        Ok(this)
    }

    /// Asks all that; answers how long it took.
    pub fn all(&mut self, questions: impl Iterator<Item = String>) -> Result<Duration> {
        let begun = Instant::now();
        self.block(questions)?;
        self.wait()?;
        Ok(begun.elapsed())
    }

    /// Asks what `question` makes of 1, 2, 3 …, until the time is over; answers how many a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn repeatedly(&mut self, duration: Duration, question: impl Fn(u64) -> String) -> Result<f64> {
        let begun = Instant::now();
        let mut asked = 0;
        let mut next = || {
            asked += BLOCK;
            (asked - BLOCK + 1..=asked).map(&question).collect::<Vec<_>>().into_iter()
        };
        self.block(next())?;
        let mut blocks = 1;
        while begun.elapsed() < duration {
            self.block(next())?;
            blocks += 1;
            self.wait()?;
        }
        self.wait()?;
        Ok((blocks * BLOCK) as f64 / begun.elapsed().as_secs_f64())
    }

    fn block(&mut self, questions: impl Iterator<Item = String>) -> Result<()> {
        let mut text = String::new();
        for question in questions {
            text.extend([&question, ";\n"]);
        }
        text.push_str("\\warn done\n");
        Ok(self.input.write_all(text.as_bytes())?)
    }

    /// Waits for the end of a block.
    fn wait(&mut self) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line == "done\n" { Ok(()) } else { Err(format!("psql said {line:?}").into()) }
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
