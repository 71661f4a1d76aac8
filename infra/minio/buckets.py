"""Configures the bucket: read access, expiry, and the notification about uploaded photos.

python -m infra.minio.buckets (reads the settings and MEDIA_REFERER from the environment)
"""

import json
import os
from typing import Any

import boto3
from botocore.config import Config

from layers.core.settings import settings

NOTIFICATION = "arn:minio:sqs::UPLOADS:amqp"
ORIGINALS = "originals/"
MESSAGES = "messages/"
READABLE = ("processed/*", "stories/*", "avatars/*", "messages/*")
"""The objects that nginx may read; originals and direct uploads are never served."""


def main() -> None:
    """Configure the bucket that the settings name; idempotent."""
    apply(
        endpoint=settings().s3_endpoint_url or "",
        access_key=settings().s3_access_key_id or "",
        secret_key=settings().s3_secret_access_key or "",
        bucket=settings().s3_bucket,
        referer=os.environ["MEDIA_REFERER"],
        ca_file=settings().stores_ca_file,
    )


def apply(*, endpoint: str, access_key: str, secret_key: str, bucket: str, referer: str, ca_file: str) -> None:
    """Create the bucket if needed and set its policy, expiry and notification.

    Raises botocore's errors, also if MinIO has no notification target of the name in NOTIFICATION.
    """
    store = boto3.client(
        "s3",
        endpoint_url=endpoint,
        verify=ca_file or None,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )
    if bucket not in {each["Name"] for each in store.list_buckets()["Buckets"]}:
        store.create_bucket(Bucket=bucket)
    store.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy(bucket, referer)))
    store.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=lifecycle())
    store.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "Id": "photo-uploaded",
                    "QueueArn": NOTIFICATION,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": ORIGINALS}]}},
                }
            ]
        },
    )


def lifecycle() -> Any:
    """Pictures of direct messages expire one day after the messages, also those whose message was never stored."""
    return {
        "Rules": [
            {
                "ID": "messages",
                "Status": "Enabled",
                "Filter": {"Prefix": MESSAGES},
                "Expiration": {"Days": settings().message_retention_days + 1},
            }
        ]
    }


def policy(bucket: str, referer: str) -> dict[str, Any]:
    """Requests with the secret Referer, which only nginx sends, may read renditions without a signature.

    With ListBucket, MinIO answers 404 instead of 403 for a missing object; nginx forwards no request for a listing.
    """
    condition = {"StringEquals": {"aws:Referer": [referer]}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ["*"]},
                "Action": ["s3:GetObject"],
                "Resource": [f"arn:aws:s3:::{bucket}/{part}" for part in READABLE],
                "Condition": condition,
            },
            {
                "Effect": "Allow",
                "Principal": {"AWS": ["*"]},
                "Action": ["s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}"],
                "Condition": condition,
            },
        ],
    }


if __name__ == "__main__":
    main()
