"""Backs up a stack that runs without Docker, and restores it to a moment."""
