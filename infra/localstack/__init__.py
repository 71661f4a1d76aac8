"""Deploys the functions to LocalStack and invokes them there."""
