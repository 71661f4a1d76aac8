"""Cassandra: profiles and, later, direct messages."""
