"""MinIO: the bucket and its notifications."""
