"""Cassandra: conversations and direct messages, and copies of the profiles that they show."""
