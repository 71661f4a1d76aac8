"""Runs one function by hand: with its sample, an event of its own, or one that a local host has recorded."""
