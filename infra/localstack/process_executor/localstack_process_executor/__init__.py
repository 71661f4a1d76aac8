"""Runs LocalStack's Lambda functions as processes of the host, without Docker."""
