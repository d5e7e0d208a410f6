//! The one integration binary: everything is tested through the outside.

mod contract;
mod layers;
mod model;
