ALTER TABLE spaces ADD COLUMN max_tombstones BIGINT;
COMMENT ON COLUMN spaces.max_tombstones IS 'A bound on its tombstones, whatever their age; NULL for none.';

CREATE TABLE known_clients (
    space_id    BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    rev         BIGINT NOT NULL,
    cursor      TEXT,
    collections TEXT,
    agent       TEXT,
    seen_at     BIGINT NOT NULL,
    PRIMARY KEY (space_id, name)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX known_clients_by_sight ON known_clients (seen_at);
COMMENT ON TABLE known_clients IS 'Where clients that name themselves were last seen; written in batches.';
COMMENT ON COLUMN known_clients.space_id IS 'spaces.id';
COMMENT ON COLUMN known_clients.name IS 'The client, as its header Strandline-Client names it.';
COMMENT ON COLUMN known_clients.rev IS 'The revision of the last since or push cursor that it sent; of an initial sync, the head at its start.';
COMMENT ON COLUMN known_clients.cursor IS 'That cursor as it was sent, if it was one.';
COMMENT ON COLUMN known_clients.collections IS 'The collections that it asked for, comma-separated; NULL for the whole space.';
COMMENT ON COLUMN known_clients.agent IS 'Its User-Agent.';
COMMENT ON COLUMN known_clients.seen_at IS 'When, in microseconds since 1970; up to a minute before it was last seen.';

CREATE TABLE anonymous_pulls (
    space_id BIGINT NOT NULL,
    day      BIGINT NOT NULL,
    bucket   BIGINT NOT NULL,
    pulls    BIGINT NOT NULL,
    seen_at  BIGINT NOT NULL,
    PRIMARY KEY (space_id, day, bucket)
) WITH (fillfactor = 70);
COMMENT ON TABLE anonymous_pulls IS 'Pulls by clients without a name, by how far behind the head they were.';
COMMENT ON COLUMN anonymous_pulls.space_id IS 'spaces.id';
COMMENT ON COLUMN anonymous_pulls.day IS 'The first microsecond of the day.';
COMMENT ON COLUMN anonymous_pulls.bucket IS 'How many decimal digits the lag in revisions has; 0 for no lag.';
COMMENT ON COLUMN anonymous_pulls.pulls IS 'How many pulls.';
COMMENT ON COLUMN anonymous_pulls.seen_at IS 'The last of them, in microseconds since 1970.';

CREATE TABLE samples (
    space_id   BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    head       BIGINT NOT NULL,
    horizon    BIGINT NOT NULL,
    live       BIGINT NOT NULL,
    tombstones BIGINT NOT NULL,
    PRIMARY KEY (space_id, at)
);
CREATE INDEX samples_by_time ON samples (at);
COMMENT ON TABLE samples IS 'How spaces were now and then over the last days.';
COMMENT ON COLUMN samples.space_id IS 'spaces.id';
COMMENT ON COLUMN samples.at IS 'When, in microseconds since 1970.';
COMMENT ON COLUMN samples.head IS 'The newest revision.';
COMMENT ON COLUMN samples.horizon IS 'The highest horizon of its collections.';
COMMENT ON COLUMN samples.live IS 'Live records.';
COMMENT ON COLUMN samples.tombstones IS 'Tombstones.';
