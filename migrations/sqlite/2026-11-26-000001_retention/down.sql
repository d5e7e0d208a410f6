DROP TABLE samples;
DROP TABLE anonymous_pulls;
DROP TABLE known_clients;
ALTER TABLE spaces DROP COLUMN max_tombstones;
