//! The accounts of all clients, bounded: those that nobody holds and that took nothing lately are forgotten, which loses
//! nothing.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;

use super::Allowance;
use super::account::Account;

/// Accounts at the most. Whoever comes then shares one with all others who do.
const MOST: usize = 65_536;
/// From this number on idle accounts are looked for, each time there are twice as many as were left the last time.
const FEW: usize = 1_024;

/// The accounts by what tells clients apart.
pub(super) struct Accounts<K> {
    by_key: DashMap<K, Arc<Account>>,
    /// How many there may be before idle ones are looked for.
    next_sweep: AtomicUsize,
    /// When they were looked for last, in seconds since `made`: to look through all of them for each newcomer would be
    /// dearer than anything that is limited here.
    swept: AtomicU64,
    made: Instant,
    /// Of all for whom there is no room.
    others: Arc<Account>,
}

impl<K: Clone + Eq + Hash> Accounts<K> {
    /// None yet. `crowd` is what may take who share an account for want of room.
    pub fn new(crowd: Allowance) -> Self {
        Self {
            by_key: DashMap::new(),
            next_sweep: AtomicUsize::new(FEW),
            swept: AtomicU64::new(0),
            made: Instant::now(),
            others: Arc::new(Account::new(crowd)),
        }
    }

    /// The account of `key`, made with `allowance` if there is none.
    pub fn of(&self, key: &K, allowance: Allowance) -> Arc<Account> {
        if let Some(account) = self.by_key.get(key) {
            return Arc::clone(&account);
        }
        if self.by_key.len() >= self.next_sweep.load(Ordering::Relaxed) {
            self.sweep();
        }
        if self.by_key.len() >= MOST {
            return Arc::clone(&self.others);
        }
        Arc::clone(&self.by_key.entry(key.clone()).or_insert_with(|| Arc::new(Account::new(allowance))))
    }

    /// Forgets those that are idle, at most once a second where that leaves too many.
    fn sweep(&self) {
        let now = self.made.elapsed().as_secs() + 1;
        if self.by_key.len() >= MOST && self.swept.swap(now, Ordering::Relaxed) == now {
            return;
        }
        // Others go on meanwhile, and need not look as well.
        self.next_sweep.store(usize::MAX, Ordering::Relaxed);
        self.by_key.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle());
        self.next_sweep.store((2 * self.by_key.len()).clamp(FEW, MOST), Ordering::Relaxed);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }
}

/// What counts as one address: an IPv4 address, or the 64 bits of an IPv6 address that a site is given at the least.
pub(super) fn network(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn an_ipv6_client_is_its_network() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn accounts_are_bounded_and_none_in_use_is_forgotten() {
        let allowance = Allowance { requests: NonZeroU32::new(1), ..Allowance::default() };
        let accounts = Accounts::new(allowance);
        let held = accounts.of(&u32::MAX, allowance);
        let busy = accounts.of(&(u32::MAX - 1), allowance);
        // So much that a slow machine's time does not give it back.
        busy.charge_requests(10_000);
        drop(busy);
        for key in 0..100_000_u32 {
            accounts.of(&key, allowance);
        }
        assert!(accounts.len() <= 2 * FEW, "{} accounts", accounts.len());
        assert!(Arc::ptr_eq(&held, &accounts.of(&u32::MAX, allowance)));
        assert!(accounts.of(&(u32::MAX - 1), allowance).request().is_err(), "what it took before counts");
    }

    #[test]
    fn a_crowd_without_end_shares_an_account() {
        let allowance = Allowance { requests: NonZeroU32::new(1), ..Allowance::default() };
        let accounts = Accounts::new(allowance);
        for key in 0..MOST {
            accounts.of(&key, allowance).charge_requests(200);
        }
        assert!(accounts.len() <= MOST);
        let [one, other] = [MOST, MOST + 1].map(|key| accounts.of(&key, allowance));
        assert!(Arc::ptr_eq(&one, &other));
    }
}
