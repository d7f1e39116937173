DROP TABLE orders_by_customer;
DROP TABLE orders_by_customer_waiting;
CREATE INDEX orders_by_customer ON orders (customer, id);
