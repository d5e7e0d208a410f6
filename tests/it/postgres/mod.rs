//! Stores that share a PostgreSQL database, and whatever can befall them and it. All against real servers; a test that
//! breaks a server has one of its own.
//!
//! `node` is the program on a database, `mirror` a replica of a store in this process.

mod compactor;
mod crowd;
mod cut_off;
mod doors;
mod failover;
mod load;
mod meters;
mod mirror;
mod node;
mod quota;
mod registry;
mod skipped;
mod standby;
mod start;
mod trouble;
mod waiting;
mod wakeups;
