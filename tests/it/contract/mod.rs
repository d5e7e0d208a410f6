//! The contract of a store: one set of cases, run over each backend.

mod copying;
mod fixture;
mod invariants;
mod pulling;
mod pushing;
mod quotas;
mod repairing;
mod restoring;
mod tokens;
