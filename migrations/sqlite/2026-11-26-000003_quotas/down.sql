ALTER TABLE spaces DROP COLUMN quota_record_bytes;
ALTER TABLE spaces DROP COLUMN quota_bytes;
ALTER TABLE spaces DROP COLUMN quota_records;
