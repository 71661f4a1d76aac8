"""What runs inside an environment: the standard library alone, for LocalStack is not there."""
