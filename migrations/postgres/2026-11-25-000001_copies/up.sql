ALTER TABLE spaces ADD COLUMN copying TEXT COLLATE "C";
CREATE UNIQUE INDEX spaces_copying ON spaces (copying) WHERE copying IS NOT NULL;
COMMENT ON COLUMN spaces.copying IS 'The name that the space will have once it is copied here as a whole; until then it has no other.';
