"""Valkey: sessions and limits in front of every request, timelines and copies."""
