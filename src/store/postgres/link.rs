//! The link between nodes: what one commits, the others hear of within milliseconds (`LISTEN`, `NOTIFY`), on a connection
//! of its own.
//!
//! A commit is told right after it and not within it: a transaction that notifies holds a lock of the whole server until
//! its commit is on the disk, so that no two such commits would share a flush. Several commits share one notification. A
//! node that is killed between the two, or a connection that breaks, owes others what it did not tell; therefore every
//! node also looks at the spaces that somebody waits for, every [`LOOK`], and believes its memory of the others for no
//! longer than `states::FRESH`.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval, sleep, timeout};

use super::connection::Connector;
use super::fault::Fault;
use super::pool::Pool;
use super::statements::Tell;
use super::states::States;
use crate::domain::SpaceName;
use crate::feed::Feed;
use crate::store::ListenerMeters;
use crate::store::schema::spaces;

/// The channel of all nodes of a database. A payload is a node and the spaces that it wrote, with blanks between.
pub(super) const CHANNEL: &str = "strandline";
/// Names in one payload: together far below the 8,000 bytes that a payload may have.
const NAMES: usize = 100;
/// How often the spaces that somebody waits for are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often a connection on which nothing happens is asked whether it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long it may take to say so. What it does not tell meanwhile is found by [`LOOK`] and `states::FRESH`.
const ANSWER: Duration = Duration::from_secs(5);
/// The first pause before a lost connection is opened again, and the longest. It doubles, and varies.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The link's end that writers hold. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Link(Arc<Ends>);

struct Ends {
    /// This node among the others.
    node: String,
    untold: Mutex<BTreeSet<SpaceName>>,
    told: Notify,
    stop: watch::Sender<bool>,
    losses: AtomicU64,
}

impl Link {
    /// A link that is not connected yet.
    pub fn new() -> Self {
        let ends = Ends {
            node: uuid::Uuid::new_v4().simple().to_string(),
            untold: Mutex::default(),
            told: Notify::new(),
            stop: watch::Sender::new(false),
            losses: AtomicU64::default(),
        };
        Self(Arc::new(ends))
    }

    /// Tells the other nodes, soon, that this one wrote to a space.
    pub fn tell(&self, space: &SpaceName) {
        let mut untold = self.untold();
        if !untold.contains(space) {
            untold.insert(space.clone());
        }
        drop(untold);
        self.0.told.notify_one();
    }

    /// Starts listening and looking, until it is stopped.
    pub fn start(&self, connector: Connector, pool: Pool, states: Arc<States>, feed: Feed) {
        let (listening, looking) = (self.clone(), self.clone());
        let (heard, waiting) = ((Arc::clone(&states), feed.clone()), (states, feed));
        tokio::spawn(async move {
            let mut stop = listening.0.stop.subscribe();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = listening.listen(&connector, &heard.0, &heard.1) => {}
            }
            heard.0.listen(false);
        });
        tokio::spawn(async move {
            let mut stop = looking.0.stop.subscribe();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = look(&pool, &waiting.0, &waiting.1) => {}
            }
        });
    }

    /// Whether other nodes are heard, by the account of `states`.
    pub fn meters(&self, states: &States) -> ListenerMeters {
        ListenerMeters { connected: states.listening(), losses: AtomicU64::load(&self.0.losses, Ordering::Relaxed) }
    }

    /// Ends it.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    fn untold(&self) -> std::sync::MutexGuard<'_, BTreeSet<SpaceName>> {
        self.0.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens, on one connection after the other.
    async fn listen(&self, connector: &Connector, states: &States, feed: &Feed) {
        let mut pause = PAUSE.0;
        loop {
            let connected = Instant::now();
            let broken = match connector.connect().await {
                Ok(connection) => self.converse(connection, states, feed).await.err(),
                Err(error) => Some(Fault::Lost(error.to_string())),
            };
            if states.listening() {
                states.listen(false);
                self.0.losses.fetch_add(1, Ordering::Relaxed);
                log::warn!(
                    "not hearing other nodes at present: {}; looking every {LOOK:?} meanwhile",
                    broken.map_or_else(String::new, |fault| fault.to_string())
                );
            }
            if connected.elapsed() > PAUSE.1 {
                pause = PAUSE.0;
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Listens and tells on one connection, until it breaks.
    async fn converse(&self, mut connection: AsyncPgConnection, states: &States, feed: &Feed) -> Result<(), Fault> {
        connection.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        // What was committed before this moment was perhaps not heard.
        states.listen(true);
        feed.wake_all();
        log::debug!("hearing other nodes");
        loop {
            let heard = {
                let mut notifications = std::pin::pin!(connection.notifications_stream());
                tokio::select! {
                    heard = notifications.next() => Some(heard),
                    () = self.0.told.notified() => None,
                    () = sleep(HEARTBEAT) => None,
                }
            };
            match heard {
                Some(Some(Ok(notification))) => self.hear(&notification.payload, states, feed),
                Some(Some(Err(error))) => return Err(error.into()),
                Some(None) => return Err(Fault::Lost("the server closed the connection".into())),
                None => self.speak(&mut connection).await?,
            }
        }
    }

    fn hear(&self, payload: &str, states: &States, feed: &Feed) {
        let mut words = payload.split(' ');
        if words.next() == Some(&self.0.node) {
            return;
        }
        for name in words.filter_map(|name| SpaceName::new(name).ok()) {
            states.changed(&name);
            feed.wake(&name);
        }
    }

    /// Tells what is untold; where that is nothing, the question is a sign of life.
    async fn speak(&self, connection: &mut AsyncPgConnection) -> Result<(), Fault> {
        let untold: Vec<SpaceName> = std::mem::take(&mut *self.untold()).into_iter().collect();
        let payloads = untold.chunks(NAMES).map(|names| self.payload(names)).collect();
        let spoken = timeout(ANSWER, Tell { channel: CHANNEL, payloads }.execute(connection)).await;
        let spoken = match spoken {
            Ok(spoken) => spoken.map(|_| ()).map_err(Fault::from),
            Err(_) => Err(Fault::Lost("the server did not answer".into())),
        };
        if spoken.is_err() {
            // The next connection tells it.
            self.untold().extend(untold);
            self.0.told.notify_one();
        }
        spoken
    }

    /// Tells what is untold before the store is closed, if it can be told soon: whoever is not told finds it out later.
    pub async fn take_leave(&self, pool: &Pool) {
        if self.untold().is_empty() {
            return;
        }
        let told = async {
            let session = pool.session().await?;
            let mut connection = session.connection()?;
            let untold: Vec<SpaceName> = std::mem::take(&mut *self.untold()).into_iter().collect();
            let payloads = untold.chunks(NAMES).map(|names| self.payload(names)).collect();
            Tell { channel: CHANNEL, payloads }.execute(&mut connection).await?;
            session.settle();
            Ok::<_, Fault>(())
        };
        if !matches!(timeout(HEARTBEAT, told).await, Ok(Ok(()))) {
            log::debug!("other nodes were not told of the last commits");
        }
    }

    fn payload(&self, names: &[SpaceName]) -> String {
        let mut payload = self.0.node.clone();
        for name in names {
            payload.push(' ');
            payload.push_str(name.as_str());
        }
        payload
    }
}

/// Looks at the spaces that somebody waits for, for ever: whoever waits is woken when one was changed, told or not.
async fn look(pool: &Pool, states: &States, feed: &Feed) {
    let mut seen: HashMap<SpaceName, Option<i64>> = HashMap::new();
    let mut ticks = interval(LOOK);
    loop {
        ticks.tick().await;
        let names = feed.subscribed();
        if names.is_empty() {
            seen.clear();
            continue;
        }
        let now = match versions(pool, &names).await {
            Ok(now) => now,
            Err(fault) => {
                log::debug!("the spaces that are waited for cannot be looked at: {fault}");
                continue;
            }
        };
        let now: HashMap<SpaceName, Option<i64>> = names
            .into_iter()
            .map(|name| (now.get(name.as_str()).copied(), name))
            .map(|(version, name)| (name, version))
            .collect();
        for (name, version) in &now {
            if seen.get(name) == Some(version) {
                continue;
            }
            // Changed since the last look, or between a subscriber's first look and this one.
            if states.remembered(name).is_none_or(|known| Some(known.version) != *version) {
                states.changed(name);
            }
            feed.wake(name);
        }
        seen = now;
    }
}

async fn versions(pool: &Pool, names: &[SpaceName]) -> Result<HashMap<String, i64>, Fault> {
    let session = pool.session().await?;
    let mut connection = session.connection()?;
    let texts: Vec<&str> = names.iter().map(SpaceName::as_str).collect();
    let rows = spaces::table
        .filter(spaces::name.eq_any(texts))
        .select((spaces::name.assume_not_null(), spaces::version))
        .load::<(String, i64)>(&mut connection)
        .await?;
    session.settle();
    Ok(rows.into_iter().collect())
}
