ALTER TABLE spaces DROP COLUMN quota_record_bytes, DROP COLUMN quota_bytes, DROP COLUMN quota_records;
