-- Tokens that were issued, and the sessions that were begun with them. Of a token only its SHA-256 is kept.
CREATE TABLE tokens (
    id         TEXT NOT NULL PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    session    BOOLEAN NOT NULL, -- the cookie of a login to the page
    parent     TEXT,             -- the token that the session was begun with, if it is one of these
    name       TEXT NOT NULL,
    grants     TEXT NOT NULL,    -- JSON, as on the wire
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
) WITHOUT ROWID;
CREATE INDEX tokens_by_parent ON tokens (parent) WHERE parent IS NOT NULL;
