DROP TABLE counters_by_note;
DROP TABLE counters_by_note_waiting;
DROP TABLE counters;
