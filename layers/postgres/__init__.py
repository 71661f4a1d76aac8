"""PostgreSQL: the rows of record, of which other stores hold copies."""
