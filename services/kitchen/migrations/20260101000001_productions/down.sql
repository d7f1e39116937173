DROP TABLE productions;
