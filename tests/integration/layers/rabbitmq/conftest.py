"""A queue per test."""
