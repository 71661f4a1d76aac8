"""MinIO: the bucket and its notification."""
