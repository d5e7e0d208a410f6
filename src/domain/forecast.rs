//! What a purge would do, told beforehand: what goes, who falls behind, and what their repairs cost (PROTOCOL.md §7).

use std::collections::BTreeMap;

use super::client::KnownClient;
use super::purge::PurgeBounds;
use super::{ClientName, CollectionName, Collections, Cursor, Progress, Rev, Scope, SpaceState};

/// What a purge by some bounds would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Tombstones that there are, in the same snapshot.
    pub tombstones_before: u64,
    /// The space's horizon, in the same snapshot.
    pub horizon_before: Rev,
    /// Tombstones that go.
    pub tombstones: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// The space's horizon after it.
    pub horizon: Rev,
    /// The known clients that are behind after it, those included that are now, in order of name.
    pub behind: Vec<ClientName>,
    /// Bytes of their repairs: of each one manifest and one fetch, the latter as lines, uncompressed.
    pub repair_bytes: u64,
    /// Bytes of the records, as lines, if each of them downloaded everything anew.
    pub download_bytes: u64,
}

/// What goes of one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doomed {
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// The newest of them; 0 when there are none.
    pub newest: Rev,
}

/// Where the tombstones of each collection are to be counted, so that what goes by each of these bounds can be told:
/// after each of these revisions, ascending, and up to the next.
#[must_use]
pub fn edges(bounds: &[PurgeBounds]) -> BTreeMap<CollectionName, Vec<Rev>> {
    let mut edges: BTreeMap<CollectionName, Vec<Rev>> = BTreeMap::new();
    for (collection, rev) in bounds.iter().flat_map(|bounds| &bounds.upto) {
        edges.entry(collection.clone()).or_default().push(*rev);
    }
    for revs in edges.values_mut() {
        revs.sort_unstable();
        revs.dedup();
    }
    edges
}

/// Forecasts in the making: what goes is known, and who falls behind; what that costs is still to be surveyed.
#[derive(Debug)]
pub struct Forecasting<'a> {
    state: &'a SpaceState,
    drafts: Vec<Draft<'a>>,
}

#[derive(Debug)]
struct Draft<'a> {
    forecast: Forecast,
    /// The horizons after the purge, by collection.
    horizons: BTreeMap<&'a CollectionName, Rev>,
    behind: Vec<&'a KnownClient>,
}

impl<'a> Forecasting<'a> {
    /// Of purges by `bounds`, where `counted` has, for each collection, what lies up to each of its [`edges`] and after the
    /// one before. `clients` are in order of name.
    #[must_use]
    pub fn new(
        state: &'a SpaceState,
        clients: &'a [KnownClient],
        bounds: &[PurgeBounds],
        counted: &BTreeMap<CollectionName, Vec<(Rev, Doomed)>>,
    ) -> Self {
        let tally = state.tally(None);
        let draft = |bounds: &PurgeBounds| {
            let mut forecast =
                Forecast { tombstones_before: tally.tombstones, horizon_before: tally.horizon, ..Forecast::default() };
            let mut horizons = BTreeMap::new();
            for (name, collection) in &state.collections {
                let parts = counted.get(name).into_iter().flatten();
                let mut horizon = collection.horizon;
                for (_, doomed) in parts.take_while(|(edge, _)| *edge <= bounds.of(name)) {
                    forecast.tombstones += doomed.tombstones;
                    forecast.bytes += doomed.bytes;
                    horizon = horizon.max(doomed.newest);
                }
                forecast.horizon = forecast.horizon.max(horizon);
                horizons.insert(name, horizon);
            }
            let horizon = |name: &CollectionName| horizons.get(name).copied().unwrap_or_default();
            let behind: Vec<_> = clients.iter().filter(|client| client.place.is_behind(state, horizon)).collect();
            forecast.behind = behind.iter().map(|client| client.name.clone()).collect();
            Draft { forecast, horizons, behind }
        };
        Self { state, drafts: bounds.iter().map(draft).collect() }
    }

    /// The surveys that are to be fed with every live record: one for each choice of collections among those who fall
    /// behind; none where nobody does.
    #[must_use]
    pub fn surveys(&self) -> Vec<Survey> {
        let mut places: Vec<(Option<&Collections>, Vec<Rev>)> = Vec::new();
        for client in self.drafts.iter().flat_map(|draft| &draft.behind) {
            let choice = client.place.collections.as_ref();
            match places.iter_mut().find(|(known, _)| *known == choice) {
                Some((_, revs)) => revs.push(client.place.rev),
                None => places.push((choice, vec![client.place.rev])),
            }
        }
        places.into_iter().map(|(choice, revs)| Survey::new(choice.cloned(), revs)).collect()
    }

    /// The forecasts, with what `surveys` came to.
    #[must_use]
    pub fn finish(self, surveys: &[Survey]) -> Vec<Forecast> {
        let state = self.state;
        let finished = self.drafts.into_iter().map(|Draft { mut forecast, horizons, behind }| {
            for client in behind {
                let place = &client.place;
                let horizon = horizons.iter().filter(|(name, _)| place.covers(name)).map(|(_, horizon)| *horizon);
                let horizon = horizon.max().unwrap_or_default();
                let survey = surveys.iter().find(|survey| survey.collections.as_ref() == place.collections.as_ref());
                if let Some(survey) = survey {
                    forecast.repair_bytes += survey.repair_bytes(state, horizon, place.rev);
                    forecast.download_bytes += survey.download_bytes();
                }
            }
            forecast
        });
        finished.collect()
    }
}

/// The bytes of a live record's line besides its collection's name, its id, its revision and its data.
const LINE: usize = concat!(
    r#"{"collection":"","id":"","rev":,"#,
    r#""modified_at":"2026-11-22T20:30:00.123456Z","deleted":false,"data":}"#,
    "\n"
)
.len();

/// What the live records come to for those who asked for the same collections, from whichever place on.
///
/// It is fed once with every live record in order of revision, and tells then what a repair costs each client: the
/// cost is that of the records after its place, and of the manifest of all.
#[derive(Debug)]
pub struct Survey {
    collections: Option<Collections>,
    /// The places that are asked about, ascending.
    places: Vec<Rev>,
    /// Of the records up to each place and after the one before; the last one of those after all.
    parts: Vec<Part>,
    part: usize,
    runs: RunsText,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    records: u64,
    bytes: u64,
}

/// The length of runs as text, as revisions come.
#[derive(Clone, Copy, Debug, Default)]
struct RunsText {
    /// Bytes of the runs that have ended.
    bytes: u64,
    /// Where the present run began, less one; and its last revision.
    open: Option<(u64, u64)>,
    /// The last revision of the run before.
    ended: u64,
}

impl RunsText {
    fn push(&mut self, rev: u64) {
        if let Some((before, last)) = self.open {
            if last + 1 == rev {
                self.open = Some((before, rev));
                return;
            }
            self.close(before, last);
        }
        self.open = Some((rev - 1, rev));
    }

    fn close(&mut self, before: u64, last: u64) {
        // Two counts, and a comma after each but the very last.
        self.bytes += digits(before - self.ended) + digits(last - before) + 2;
        self.ended = last;
    }

    fn len(mut self) -> u64 {
        if let Some((before, last)) = self.open {
            self.close(before, last);
        }
        self.bytes.saturating_sub(1)
    }
}

impl Survey {
    /// A survey for clients that asked for `collections`, at these places.
    fn new(collections: Option<Collections>, mut places: Vec<Rev>) -> Self {
        places.sort_unstable();
        places.dedup();
        let parts = vec![Part::default(); places.len() + 1];
        Self { collections, places, parts, part: 0, runs: RunsText::default() }
    }

    /// Takes the next live record: `bytes` are those of its id, as JSON without the quotes, and of its data.
    pub fn take(&mut self, collection: &CollectionName, rev: Rev, bytes: u64) {
        if self.collections.as_ref().is_some_and(|choice| !choice.contains(collection)) {
            return;
        }
        while self.places.get(self.part).is_some_and(|place| rev > *place) {
            self.part += 1;
        }
        if let Some(part) = self.parts.get_mut(self.part) {
            part.records += 1;
            part.bytes += LINE as u64 + collection.as_str().len() as u64 + digits(rev.get()) + bytes;
        }
        self.runs.push(rev.get());
    }

    /// The bytes of the manifest and the fetch of a client at `place`, where the space will have this horizon.
    fn repair_bytes(&self, state: &SpaceState, horizon: Rev, place: Rev) -> u64 {
        let from = self.places.partition_point(|other| *other <= place);
        let after = self.parts.iter().skip(from);
        let missing = after.fold(Part::default(), |sum, part| Part {
            records: sum.records + part.records,
            bytes: sum.bytes + part.bytes,
        });
        let end = "{\"end\":true,\"count\":}\n".len() as u64 + digits(missing.records);
        let fetch = if missing.records == 0 { 0 } else { missing.bytes + end };
        self.manifest_bytes(state, horizon) + fetch
    }

    /// The bytes of all the records, as lines.
    fn download_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    fn manifest_bytes(&self, state: &SpaceState, horizon: Rev) -> u64 {
        let scope: Option<Scope> = self.collections.as_ref().map(Collections::scope);
        let cursor = Cursor { epoch: state.epoch(), rev: state.head, progress: Progress::Delta, scope };
        let count = self.parts.iter().map(|part| part.records).sum();
        let frame = r#"{"epoch":"","cursor":"","head":,"horizon":,"count":,"checksum":"0123456789abcdef","runs":[]}"#;
        let text = state.epoch().as_str().len() + cursor.to_string().len() + frame.len();
        text as u64 + digits(state.head.get()) + digits(horizon.get()) + digits(count) + self.runs.len()
    }
}

/// How many digits a number has.
fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Runs;

    #[test]
    fn the_length_of_runs_is_that_of_their_text() {
        for revs in [&[][..], &[1], &[5], &[1, 2, 3], &[3, 4, 9, 10, 11, 300], &[1, 3, 5, 1_000_000]] {
            let mut text = RunsText::default();
            for rev in revs {
                text.push(*rev);
            }
            let runs: Runs = revs.iter().map(|rev| Rev::new(*rev).unwrap()).collect();
            let written: Vec<String> = runs.counts().iter().map(ToString::to_string).collect();
            assert_eq!(text.len(), written.join(",").len() as u64, "{revs:?}");
        }
    }
}
