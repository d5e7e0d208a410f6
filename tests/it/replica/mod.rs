//! The Rust replica, from outside: its public interface, the requests that it makes, and its file.

mod file;
mod model;
mod vectors;
