"""Code that runs inside an environment. It imports only the standard library: LocalStack is not available there."""
