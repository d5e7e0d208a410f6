-- A bound on a space's tombstones, whatever their age; NULL for none.
ALTER TABLE spaces ADD COLUMN max_tombstones BIGINT;

-- Where clients were last seen. Apart from their push numbers, which are written with pushes; these are written in
-- batches, and may be lost.
CREATE TABLE known_clients (
    space_id    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    rev         BIGINT NOT NULL,
    cursor      TEXT,  -- as the client sent it, if it was one
    collections TEXT,  -- comma-separated; NULL for the whole space
    agent       TEXT,
    seen_at     BIGINT NOT NULL,
    PRIMARY KEY (space_id, name)
) WITHOUT ROWID;
CREATE INDEX known_clients_by_sight ON known_clients (seen_at);

-- Pulls by clients without a name, by how far behind the head they were: a count a day and bucket.
CREATE TABLE anonymous_pulls (
    space_id BIGINT NOT NULL,
    day      BIGINT NOT NULL, -- its first microsecond
    bucket   BIGINT NOT NULL, -- how many decimal digits the lag has; 0 for no lag
    pulls    BIGINT NOT NULL,
    seen_at  BIGINT NOT NULL,
    PRIMARY KEY (space_id, day, bucket)
) WITHOUT ROWID;

-- How spaces were now and then over the last days.
CREATE TABLE samples (
    space_id   BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    head       BIGINT NOT NULL,
    horizon    BIGINT NOT NULL,
    live       BIGINT NOT NULL,
    tombstones BIGINT NOT NULL,
    PRIMARY KEY (space_id, at)
) WITHOUT ROWID;
CREATE INDEX samples_by_time ON samples (at);
