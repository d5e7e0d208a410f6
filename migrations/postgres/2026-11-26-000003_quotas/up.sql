ALTER TABLE spaces
    ADD COLUMN quota_records BIGINT,
    ADD COLUMN quota_bytes BIGINT,
    ADD COLUMN quota_record_bytes BIGINT;
COMMENT ON COLUMN spaces.quota_records IS 'Live records it may hold; NULL for the server''s default, below zero for no quota whatever that is.';
COMMENT ON COLUMN spaces.quota_bytes IS 'Bytes of the live records'' ids and data it may hold, as collections.live_bytes counts them; NULL and below zero as above.';
COMMENT ON COLUMN spaces.quota_record_bytes IS 'Bytes that one record''s data may have; NULL and below zero as above.';
