//! `strandline compact --watch`: how the compactor gets on, wherever it runs, told from what is left of its work.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::CompactArgs;
use crate::cli::CliError;
use crate::cli::output::{plural, print};
use crate::cli::serve::stop_signal;
use crate::cli::target::{MayCreate, SpaceChoice, Target};
use crate::domain::{Clock, SpaceName, SystemClock};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// Looks over which the rate is taken.
const RATE_LOOKS: usize = 10;

/// Watches until a signal, or until nothing is left where that is the end.
pub async fn run(args: CompactArgs, json: bool) -> Result<(), CliError> {
    let signal = stop_signal().map_err(|error| CliError::io("signals cannot be waited for", &error))?;
    let target = args.target.open(MayCreate::No).await?;
    let teller = Teller::new(json);
    let watched = tokio::select! {
        watched = watch(&*target, &args.spaces, args.watch.until_done, &teller) => watched,
        () = signal => Ok(()),
    };
    teller.end();
    target.close().await;
    watched
}

async fn watch(target: &dyn Target, spaces: &SpaceChoice, until_done: bool, teller: &Teller) -> Result<(), CliError> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watched = Watched::default();
    loop {
        ticks.tick().await;
        let seen = look(target, spaces).await?;
        let line = watched.take(Instant::now(), seen);
        teller.tell(&line)?;
        if until_done && line.left == 0 {
            return Ok(());
        }
    }
}

/// How a space was at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    /// Tombstones that the space's rule lets go, and that are still there.
    left: u64,
    /// All its tombstones.
    tombstones: u64,
    /// Its horizon.
    horizon: u64,
}

async fn look(target: &dyn Target, spaces: &SpaceChoice) -> Result<BTreeMap<SpaceName, Seen>, CliError> {
    if let Some(name) = spaces.one() {
        return Ok(BTreeMap::from([(name.clone(), look_at(target, name).await?)]));
    }
    let mut all = BTreeMap::new();
    for space in target.spaces().await? {
        let name = space.name()?;
        if space.tombstones == 0 {
            all.insert(name, Seen { horizon: space.horizon, ..Seen::default() });
            continue;
        }
        match look_at(target, &name).await {
            Ok(seen) => drop(all.insert(name, seen)),
            // Deleted since the list was read.
            Err(CliError::NoSpace(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

async fn look_at(target: &dyn Target, name: &SpaceName) -> Result<Seen, CliError> {
    let state = target.explain(name).await?;
    Ok(Seen { left: state.purgeable, tombstones: state.tombstones, horizon: state.horizon })
}

/// What was seen since the watch began.
#[derive(Debug, Default)]
struct Watched {
    spaces: BTreeMap<SpaceName, Seen>,
    purged: u64,
    /// When what had been purged, over the last looks.
    recent: VecDeque<(Instant, u64)>,
}

/// What is told of a look.
#[derive(Debug, Serialize)]
struct Line {
    at: String,
    /// The space, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    space: Option<String>,
    /// Tombstones that may be purged and are still there.
    left: u64,
    /// Tombstones purged since the watch began.
    purged: u64,
    /// How many were purged in a second, over the last looks.
    per_second: f64,
    /// How long what is left takes at that rate; none where nothing is being purged.
    seconds_left: Option<f64>,
    /// The horizon of the space, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    horizon: Option<u64>,
    /// Spaces in which something is left.
    spaces_left: usize,
}

impl Watched {
    /// Takes in a look at all spaces that are watched.
    fn take(&mut self, now: Instant, seen: BTreeMap<SpaceName, Seen>) -> Line {
        let purged = seen.iter().filter_map(|(name, now)| self.spaces.get(name).map(|before| purged(before, now)));
        self.purged += purged.sum::<u64>();
        self.recent.push_back((now, self.purged));
        if self.recent.len() > RATE_LOOKS + 1 {
            self.recent.pop_front();
        }
        let left = seen.values().map(|seen| seen.left).sum();
        let per_second = self.rate();
        let mut named = seen.iter();
        let (space, horizon) = match (named.next(), named.next()) {
            (Some((name, seen)), None) => (Some(name.to_string()), Some(seen.horizon)),
            _ => (None, None),
        };
        let spaces_left = seen.values().filter(|seen| seen.left > 0).count();
        self.spaces = seen;
        Line {
            at: SystemClock.now().to_string(),
            space,
            left,
            purged: self.purged,
            per_second: rounded(per_second),
            seconds_left: seconds_left(left, per_second),
            horizon,
            spaces_left,
        }
    }

    /// Tombstones purged in a second.
    fn rate(&self) -> f64 {
        match (self.recent.front(), self.recent.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                as_float(after - before) / to.duration_since(*from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// How many tombstones of a space were purged between two looks, at the least.
///
/// What is left sinks with every one that goes, and grows as others come of age; the number of all sinks too, and grows
/// with every deletion: so it is the larger of the two. What is left also sinks where a client comes to hold it;
/// but then nothing goes.
fn purged(before: &Seen, now: &Seen) -> u64 {
    let gone = before.tombstones.saturating_sub(now.tombstones);
    if now.horizon > before.horizon || (before.left > 0 && gone > 0) {
        gone.max(before.left.saturating_sub(now.left))
    } else {
        0
    }
}

fn seconds_left(left: u64, per_second: f64) -> Option<f64> {
    match left {
        0 => Some(0.0),
        _ if per_second > 0.0 => Some(rounded(as_float(left) / per_second)),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// To a tenth.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Tells of looks: a line that is rewritten on a terminal, and a line each anywhere else.
struct Teller {
    json: bool,
    bar: Option<ProgressBar>,
}

impl Teller {
    fn new(json: bool) -> Self {
        let bar = (!json && io::stdout().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            match ProgressStyle::with_template("{wide_msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { json, bar }
    }

    fn tell(&self, line: &Line) -> Result<(), CliError> {
        match &self.bar {
            Some(bar) => {
                bar.set_message(line.in_words());
                bar.tick();
                Ok(())
            }
            None => print(self.json, line, || format!("{} {}", line.at, line.in_words())),
        }
    }

    /// Leaves the last line where it is, and what follows begins below it.
    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
            // When the terminal is gone, nobody is there to see it.
            let _ = writeln!(io::stdout());
        }
    }
}

impl Line {
    fn in_words(&self) -> String {
        let whose = match (&self.space, self.horizon) {
            (Some(space), Some(horizon)) => format!("{space}: horizon {horizon}, "),
            _ => format!("{} with tombstones to purge, ", plural(self.spaces_left as u64, "space", "spaces")),
        };
        let (left, purged) = (HumanCount(self.left), HumanCount(self.purged));
        let time = match self.seconds_left {
            _ if self.left == 0 => "done".into(),
            Some(seconds) => {
                let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                format!("{} to go", HumanDuration(time))
            }
            None => "none are being purged".into(),
        };
        format!("{whose}{left} left, {purged} purged, {:.0} a second, {time}", self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(left: u64, tombstones: u64, horizon: u64) -> Seen {
        Seen { left, tombstones, horizon }
    }

    #[test]
    fn what_was_purged_is_told_from_what_is_left_and_from_what_there_is() {
        for (before, now, count, why) in [
            (seen(100, 500, 10), seen(60, 460, 50), 40, "a purge"),
            (seen(100, 500, 10), seen(60, 600, 50), 40, "a purge while others are deleted"),
            (seen(100, 500, 10), seen(110, 460, 50), 40, "a purge while others come of age"),
            (seen(100, 500, 10), seen(60, 460, 10), 40, "a purge of another collection than that of the horizon"),
            (seen(100, 500, 10), seen(0, 500, 10), 0, "a client came that needs them"),
            (seen(0, 500, 10), seen(0, 490, 10), 0, "records were written anew"),
            (seen(0, 500, 10), seen(30, 500, 10), 0, "some came of age"),
        ] {
            assert_eq!(purged(&before, &now), count, "{why}");
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_looks() {
        let (mut watched, begun) = (Watched::default(), Instant::now());
        let name: SpaceName = "s".parse().unwrap();
        let mut take = |second: u64, left: u64| {
            let look = BTreeMap::from([(name.clone(), seen(left, left, 1_000 - left))]);
            watched.take(begun + Duration::from_secs(second), look)
        };
        let first = take(0, 900);
        assert_eq!((first.purged, first.per_second, first.seconds_left), (0, 0.0, None));
        let line = take(1, 800);
        assert_eq!((line.purged, line.per_second, line.seconds_left), (100, 100.0, Some(8.0)));
        for second in 2..14 {
            take(second, 800 - 50 * (second - 1));
        }
        let line = take(14, 150);
        assert_eq!((line.left, line.purged, line.per_second, line.seconds_left), (150, 750, 50.0, Some(3.0)));
        let line = take(15, 0);
        assert_eq!((line.left, line.purged, line.seconds_left), (0, 900, Some(0.0)));
    }
}
