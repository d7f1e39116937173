-- A context without tables of its own.
SELECT 1;
