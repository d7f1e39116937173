-- The index by customer is deferred and written in bulk; new entries wait here in the order of their arrival.
CREATE TABLE orders_by_customer_waiting (
    id TEXT NOT NULL,
    customer TEXT NOT NULL
);
DROP INDEX orders_by_customer;
CREATE TABLE orders_by_customer (
    customer TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (customer, id)
);
INSERT INTO orders_by_customer (customer, id) SELECT customer, id FROM orders ORDER BY customer, id;
