//! Real PostgreSQL servers, private to the tests: nothing that the machine runs already is touched.
//!
//! - `installation` finds PostgreSQL's programs, `account` the user that may run them.
//! - `cluster` is a server with its data, made by `settings` (and with `certificates`); `watchdog` is what removes both
//!   however the test process ends.
//! - `faults` is what can befall a server and its `processes`, standbys included.
//! - `database` is a database of a test's own, `admin` a way to talk to one past the store.
//!
//! One cluster serves all tests of a process that want no more than a database. A test that stops, kills or configures
//! a server starts its own.

pub mod account;
mod admin;
mod certificates;
mod cluster;
mod database;
mod faults;
mod installation;
mod processes;
mod settings;
mod watchdog;

pub use admin::{Admin, wait_for};
pub use cluster::{Cluster, Stop};
pub use database::Database;
pub use installation::is_installed;
pub use settings::Settings;
