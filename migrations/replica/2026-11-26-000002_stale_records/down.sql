DROP INDEX records_stale;
