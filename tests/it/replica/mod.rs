//! The Rust replica, from outside: its public interface, the requests that it makes, and its file.

mod example;
mod file;
mod model;
mod together;
mod trouble;
mod vectors;
