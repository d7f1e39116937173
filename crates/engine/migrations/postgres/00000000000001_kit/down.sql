DROP TABLE bus_identity, dead_letters, requests, inbox, unpublished, events;
