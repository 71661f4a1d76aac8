"""The bucket, who may read what of it, and the notification that starts the resizing.

python -m infra.minio.buckets (settings and MEDIA_REFERER come from the environment)
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
"""What the front door may fetch; originals and presigned uploads are never served, not even to it."""


def main() -> None:
    """Make the bucket as it must be; doing it again changes nothing."""
    apply(
        endpoint=settings().s3_endpoint_url or "",
        access_key=settings().s3_access_key_id or "",
        secret_key=settings().s3_secret_access_key or "",
        bucket=settings().s3_bucket,
        referer=os.environ["MEDIA_REFERER"],
    )


def apply(*, endpoint: str, access_key: str, secret_key: str, bucket: str, referer: str) -> None:
    """Bucket, policy, expiry and notification; raises botocore's errors, also for a notification MinIO knows not."""
    store = boto3.client(
        "s3",
        endpoint_url=endpoint,
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
    """Pictures of direct messages end a day after their messages; so does one whose message was never kept."""
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
    """Whoever sends the secret referer, which only the front door does, may get renditions.

    ListBucket is what makes a missing object 404 rather than 403; the front door passes no listing on.
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
