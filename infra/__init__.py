"""Runs and deploys the functions, and provides the stores that they use. No function imports it."""
