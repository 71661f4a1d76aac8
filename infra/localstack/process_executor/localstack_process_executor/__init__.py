"""Runs LocalStack's Lambda functions as ordinary processes of the host."""
