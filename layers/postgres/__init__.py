"""PostgreSQL: the rows that are the truth."""
