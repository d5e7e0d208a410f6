//! The one integration binary: everything is tested through the outside.

mod contract;
mod http_bodies;
mod http_errors;
mod http_pull;
mod http_push;
mod http_records;
mod http_repair;
mod http_retention;
mod http_service;
mod http_spaces;
mod http_streams;
mod layers;
mod support;
