DROP TABLE enrollment_views;
