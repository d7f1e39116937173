DROP TABLE customer_views;
