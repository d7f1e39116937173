DROP TABLE bus_identity;
DROP TABLE dead_letters;
DROP TABLE requests;
DROP TABLE inbox;
DROP TABLE unpublished;
DROP TABLE events;
