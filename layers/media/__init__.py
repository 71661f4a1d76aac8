"""The object store (S3, MinIO), and the processing of pictures."""
