DROP TABLE facts;
DROP TABLE records;
DROP TABLE clients;
DROP TABLE collections;
DROP TABLE epochs;
DROP TABLE spaces;
