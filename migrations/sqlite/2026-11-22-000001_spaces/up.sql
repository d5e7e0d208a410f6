-- A space without its records. The name is NULL once the space is deleted: its rows are then swept away step by step.
CREATE TABLE spaces (
    id               INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name             TEXT UNIQUE,
    head             BIGINT NOT NULL DEFAULT 0,
    retention        TEXT NOT NULL,
    hold_for_clients BOOLEAN NOT NULL DEFAULT 0,
    max_retention    TEXT NOT NULL,
    created_at       BIGINT NOT NULL, -- microseconds since 1970, as all times here
    modified_at      BIGINT NOT NULL  -- of the newest revision
);

-- The histories of a space, oldest first, each with the head at which it was opened.
CREATE TABLE epochs (
    space_id BIGINT NOT NULL,
    ordinal  BIGINT NOT NULL,
    epoch    TEXT NOT NULL,
    opened_at BIGINT NOT NULL, -- a revision
    PRIMARY KEY (space_id, ordinal)
) WITHOUT ROWID;

-- Counts that change with every change, in its transaction.
CREATE TABLE collections (
    id              INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    space_id        BIGINT NOT NULL,
    name            TEXT NOT NULL,
    head            BIGINT NOT NULL DEFAULT 0,
    live            BIGINT NOT NULL DEFAULT 0,
    tombstones      BIGINT NOT NULL DEFAULT 0,
    checksum        BIGINT NOT NULL DEFAULT 0, -- the 64 bits, signed
    live_bytes      BIGINT NOT NULL DEFAULT 0,
    tombstone_bytes BIGINT NOT NULL DEFAULT 0,
    horizon         BIGINT NOT NULL DEFAULT 0,
    horizon_at      BIGINT NOT NULL DEFAULT 0,
    UNIQUE (space_id, name)
);

-- The highest seq of each client that pushed with one.
CREATE TABLE clients (
    space_id BIGINT NOT NULL,
    name     TEXT NOT NULL,
    seq      BIGINT NOT NULL,
    used_at  BIGINT NOT NULL,
    PRIMARY KEY (space_id, name)
) WITHOUT ROWID;
CREATE INDEX clients_by_use ON clients (used_at);

-- One row a record, live or a tombstone. A change moves the row to the end of the table, so that the rows of a delta
-- lie together in order of revision.
CREATE TABLE records (
    space_id      BIGINT NOT NULL,
    rev           BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    id            TEXT NOT NULL,
    deleted       BOOLEAN NOT NULL,
    modified_at   BIGINT NOT NULL,
    data          TEXT -- NULL in a tombstone
);
CREATE UNIQUE INDEX records_by_rev ON records (space_id, rev);
CREATE UNIQUE INDEX records_by_id ON records (collection_id, id);
-- For the compactor and the manifest; nothing to purge costs one look.
CREATE INDEX tombstones ON records (collection_id, rev, modified_at) WHERE deleted = 1;

-- Facts about this file. 'copied_at' is there in a backup until it is first opened.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
