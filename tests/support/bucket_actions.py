"""What a function may do with the bucket on AWS."""

from typing import Final

ACTIONS_OF: Final = {
    "put_all": {"s3:PutObject"},
    "Puts": {"s3:PutObject"},
    "presign_put": {"s3:PutObject"},
    "get": {"s3:GetObject", "s3:ListBucket"},
    "read_starts": {"s3:GetObject", "s3:ListBucket"},
    "exists": {"s3:GetObject", "s3:ListBucket"},
    "copy_all": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "remove": {"s3:DeleteObject"},
    "list_objects": {"s3:ListBucket"},
}
"""The actions that calls of `layers.media.connection` need. Without ListBucket, S3 answers 403 for a missing
object; MinIO does not."""
