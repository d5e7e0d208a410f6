-- What a space may hold: NULL for the server's default, below zero for no quota whatever that is.
ALTER TABLE spaces ADD COLUMN quota_records BIGINT;
ALTER TABLE spaces ADD COLUMN quota_bytes BIGINT; -- of the live records' ids and data, as collections.live_bytes
ALTER TABLE spaces ADD COLUMN quota_record_bytes BIGINT; -- of one record's data
