DROP INDEX spaces_copying;
ALTER TABLE spaces DROP COLUMN copying;
