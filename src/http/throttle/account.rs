//! What one client, a token or an address, has taken of what it may.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::Allowance;

/// Who asked for little so far may take this many seconds' worth at once: a crowd of phones that comes back, a page that
/// loads, an initial sync.
pub const BURST_SECONDS: u32 = 10;
/// Bytes are counted in units of this many: nobody needs them exactly, and a nanosecond a byte would be too coarse.
const UNIT: u64 = 1024;

/// When the bucket would be full again, in nanoseconds since it was made: all that the algorithm (GCRA) keeps. Shared, so
/// that what is known only afterwards can be charged.
#[derive(Clone, Debug, Default)]
struct Arrival(Arc<AtomicU64>);

impl StateStore for Arrival {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut present = self.0.load(Ordering::Relaxed);
        loop {
            let (result, next) = decide((present > 0).then(|| present.into()))?;
            match self.0.compare_exchange_weak(present, next.into(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(result),
                Err(other) => present = other,
            }
        }
    }
}

/// A rate, and how much of it is used.
struct Rate {
    limiter: RateLimiter<NotKeyed, Arrival, DefaultClock>,
    arrival: Arrival,
    quota: Quota,
}

impl Rate {
    fn new(a_second: NonZeroU32) -> Self {
        let seconds = NonZeroU32::new(BURST_SECONDS).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(a_second).allow_burst(a_second.saturating_mul(seconds));
        let arrival = Arrival::default();
        Self { limiter: RateLimiter::new(quota, arrival.clone(), DefaultClock::default()), arrival, quota }
    }

    /// Takes one, or says how long to wait for it.
    #[inline]
    fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not| not.wait_time_from(self.limiter.clock().now()))
    }

    /// Takes `count`, whether they are there or not. What is missing has to be waited for by whoever comes next.
    fn charge(&self, mut count: u64) {
        let burst = self.quota.burst_size();
        let one = u64::try_from(self.quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX).max(1);
        while count > 0 {
            let part = u32::try_from(count).ok().and_then(NonZeroU32::new).map_or(burst, |count| count.min(burst));
            count -= u64::from(part.get());
            if !matches!(self.limiter.check_n(part), Ok(Ok(()))) {
                self.arrival.0.fetch_add(one.saturating_mul(part.get().into()), Ordering::Relaxed);
            }
        }
    }

    /// Whether nothing of it is used. It is not to be used after that.
    fn is_whole(&self) -> bool {
        matches!(self.limiter.check_n(self.quota.burst_size()), Ok(Ok(())))
    }
}

/// What one client takes. Whoever counts as this client holds it.
pub struct Account {
    requests: Option<Rate>,
    bytes: Option<Rate>,
    pub(super) connections: AtomicU32,
    pub(super) streams: AtomicU32,
    pub(super) allowance: Allowance,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

/// Which rate of an account is used up, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Requests.
    Requests(Duration),
    /// Bytes of bodies.
    Bytes(Duration),
}

impl Account {
    /// An account of which nothing is taken yet.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            requests: allowance.requests.map(Rate::new),
            bytes: allowance.bytes.map(|bytes| Rate::new(units_a_second(bytes))),
            connections: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            allowance,
        }
    }

    /// Takes a request with the first unit of bytes.
    #[inline]
    pub fn request(&self) -> Result<(), Exceeded> {
        if let Some(requests) = &self.requests {
            requests.take().map_err(Exceeded::Requests)?;
        }
        self.bytes.as_ref().map_or(Ok(()), Rate::take).map_err(Exceeded::Bytes)
    }

    /// Takes `count` requests that nobody could refuse any more.
    pub fn charge_requests(&self, count: u64) {
        if let Some(requests) = &self.requests {
            requests.charge(count);
        }
    }

    /// Takes the bytes of a body beyond the first unit, which its request has taken.
    #[inline]
    pub fn charge_body(&self, bytes: u64) {
        if let Some(rate) = self.bytes.as_ref().filter(|_| bytes > UNIT) {
            rate.charge((bytes - 1) / UNIT);
        }
    }

    /// Takes the bytes of a part of a stream. How long the stream has to wait before its next part.
    pub fn charge_part(&self, bytes: u64) -> Option<Duration> {
        let rate = self.bytes.as_ref()?;
        rate.charge(bytes.saturating_sub(1) / UNIT);
        rate.take().err()
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.as_ref().is_none_or(Rate::is_whole) && self.bytes.as_ref().is_none_or(Rate::is_whole)
    }
}

fn units_a_second(bytes: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(bytes.get().div_ceil(1024)).unwrap_or(NonZeroU32::MIN)
}

/// One of the things counted in an account, from when it is taken until this is dropped.
pub struct Place {
    account: Arc<Account>,
    counter: fn(&Account) -> &AtomicU32,
}

impl Place {
    /// Takes one unless that would be more than `most`.
    pub(super) fn take(
        account: &Arc<Account>,
        counter: fn(&Account) -> &AtomicU32,
        most: Option<NonZeroU32>,
    ) -> Option<Self> {
        let taken = counter(account).fetch_add(1, Ordering::Relaxed);
        // Made before the decision, so that it gives back what was taken either way.
        let place = Self { account: Arc::clone(account), counter };
        most.is_none_or(|most| taken < most.get()).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.counter)(&self.account).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(a_second: u32) -> Rate {
        Rate::new(NonZeroU32::new(a_second).unwrap())
    }

    #[test]
    fn a_burst_goes_through_and_what_is_beyond_it_waits() {
        // Slow enough that nothing comes back while the test runs.
        let rate = rate(1);
        for _ in 0..BURST_SECONDS {
            assert_eq!(rate.take(), Ok(()));
        }
        let wait = rate.take().unwrap_err();
        assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(1), "{wait:?}");
    }

    #[test]
    fn what_is_charged_beyond_what_is_there_has_to_be_waited_for() {
        let rate = rate(1);
        rate.charge(BURST_SECONDS.into());
        rate.charge(5);
        rate.charge(u64::from(BURST_SECONDS) * 2);
        let wait = rate.take().unwrap_err();
        assert!(wait > Duration::from_secs(24) && wait <= Duration::from_secs(26), "{wait:?}");
        assert!(!rate.is_whole());
    }

    #[test]
    fn an_account_that_was_not_used_is_idle() {
        let some = NonZeroU32::new(1);
        let account = || Account::new(Allowance { requests: some, bytes: some, ..Allowance::default() });
        assert!(account().is_idle());
        let used = account();
        used.request().unwrap();
        assert!(!used.is_idle());
    }
}
