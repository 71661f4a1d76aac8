"""MinIO and the pictures in it."""
