"""LocalStack's Lambda functions as processes of this machine."""
