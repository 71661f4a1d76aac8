"""Valkey: sessions and rate limits, timelines and fragments, live events, and other copies."""
