-- A copy of one space, as clients/PROTOCOL-CLIENT.md has it. One row says which and how far.
CREATE TABLE replica (
    id             INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    url            TEXT NOT NULL,    -- of the space
    collections    TEXT,             -- names with commas; NULL for all
    name           TEXT NOT NULL,    -- in Strandline-Client
    seq            BIGINT NOT NULL DEFAULT 0,
    answers        BIGINT NOT NULL DEFAULT 0,
    cursor         TEXT,
    met            TEXT,             -- an epoch
    whole          BOOLEAN NOT NULL DEFAULT 0,
    etag           TEXT,
    count          BIGINT NOT NULL DEFAULT 0,
    checksum       BIGINT NOT NULL DEFAULT 0, -- the 64 bits, signed
    remaining      TEXT,             -- runs, as JSON
    doubtful       TEXT,             -- runs, as JSON
    sending_seq    BIGINT,           -- NULL while no push is on its way
    sending_cursor TEXT,
    synced_at      BIGINT            -- when a sync last ended well; microseconds since 1970, as all times here
);

-- What the server has, as far as is known. A stale record is shown until a repair is over; rev 0 is a forgotten one.
CREATE TABLE records (
    collection  TEXT NOT NULL,
    id          TEXT NOT NULL,
    rev         BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    data        TEXT NOT NULL,
    stale       BOOLEAN NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE INDEX records_by_rev ON records (rev);

-- What the user did and nobody was told yet. Data is NULL in a deletion.
CREATE TABLE edits (
    position   INTEGER PRIMARY KEY NOT NULL,
    collection TEXT NOT NULL,
    id         TEXT NOT NULL,
    base       BIGINT,
    follows    BOOLEAN NOT NULL DEFAULT 0,
    data       TEXT,
    UNIQUE (collection, id)
);

-- The changes of the push on its way.
CREATE TABLE sending (
    position   INTEGER PRIMARY KEY NOT NULL,
    collection TEXT NOT NULL,
    id         TEXT NOT NULL,
    base       BIGINT,
    data       TEXT,
    UNIQUE (collection, id)
);

-- What the server's win discarded, until somebody decides.
CREATE TABLE conflicts (
    number     INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    collection TEXT NOT NULL,
    id         TEXT NOT NULL,
    mine       TEXT,          -- NULL for a deletion
    theirs     TEXT,          -- a change as in the protocol; NULL where nothing was held
    problem    TEXT,          -- of a rejection, as JSON; NULL in a conflict
    found_at   BIGINT NOT NULL
);
