-- The name that a space will have once it is copied here as a whole; until then it has no other, and nobody sees it.
ALTER TABLE spaces ADD COLUMN copying TEXT;
CREATE UNIQUE INDEX spaces_copying ON spaces (copying) WHERE copying IS NOT NULL;
