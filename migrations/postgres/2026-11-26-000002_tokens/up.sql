CREATE TABLE tokens (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    session    BOOLEAN NOT NULL,
    parent     TEXT COLLATE "C",
    name       TEXT NOT NULL,
    grants     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_by_parent ON tokens (parent) WHERE parent IS NOT NULL;
COMMENT ON TABLE tokens IS 'Tokens that were issued, and the sessions that were begun with them.';
COMMENT ON COLUMN tokens.id IS 'What it is called in lists and logs; no secret.';
COMMENT ON COLUMN tokens.hash IS 'The SHA-256 of the token, which itself is not kept.';
COMMENT ON COLUMN tokens.session IS 'Whether it is the cookie of a login to the page.';
COMMENT ON COLUMN tokens.parent IS 'The token that the session was begun with, if it is one of these.';
COMMENT ON COLUMN tokens.name IS 'What people call it.';
COMMENT ON COLUMN tokens.grants IS 'What it allows: JSON, as on the wire.';
COMMENT ON COLUMN tokens.created_at IS 'When it was made, in microseconds since 1970.';
COMMENT ON COLUMN tokens.expires_at IS 'From when on it is worth nothing, in microseconds since 1970; NULL for never.';
COMMENT ON COLUMN tokens.revoked_at IS 'When it was revoked, in microseconds since 1970.';
