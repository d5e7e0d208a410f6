//! What spaces may hold that say nothing of it themselves.

use clap::Args;

use super::size;
use crate::domain::Quota;

/// The defaults of quotas; without one there is none.
#[derive(Args, Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
pub struct QuotaArgs {
    /// Live records that a space may hold, unless it has a quota of its own (`strandline spaces quota`) [default: no quota].
    #[arg(long, env = "STRANDLINE_MAX_SPACE_RECORDS", value_name = "COUNT")]
    pub max_space_records: Option<u64>,

    /// Size of the ids and data of a space's live records, unless it has a quota of its own [default: no quota].
    #[arg(long, env = "STRANDLINE_MAX_SPACE_BYTES", value_name = "SIZE", value_parser = size)]
    pub max_space_bytes: Option<usize>,

    /// Size of one record's data, unless its space has a quota of its own [default: no quota].
    #[arg(long, env = "STRANDLINE_MAX_SPACE_RECORD_BYTES", value_name = "SIZE", value_parser = size)]
    pub max_space_record_bytes: Option<usize>,
}

impl QuotaArgs {
    /// As the store takes them.
    pub fn quota(self) -> Quota {
        let Self { max_space_records: records, max_space_bytes, max_space_record_bytes } = self;
        let bytes = |size: Option<usize>| size.map(|size| size as u64);
        Quota { records, bytes: bytes(max_space_bytes), record_bytes: bytes(max_space_record_bytes) }
    }
}
