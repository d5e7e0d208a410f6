-- Every sync that has brought anything asks for what is stale: mostly nothing, of a million.
CREATE INDEX records_stale ON records (collection, id) WHERE stale;
