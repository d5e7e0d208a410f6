DROP TABLE conflicts;
DROP TABLE sending;
DROP TABLE edits;
DROP TABLE records;
DROP TABLE replica;
