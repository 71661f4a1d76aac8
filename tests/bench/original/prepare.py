"""What the reference server's own set-up does besides starting its services.

python -m tests.bench.original.prepare cassandra FILE
python -m tests.bench.original.prepare bucket URL
"""

import json
import re
import sys
from pathlib import Path
from typing import Final

import boto3
from cassandra.cluster import Cluster

_COMMENT: Final = re.compile(r"--[^\n]*")


def create_tables(file: Path) -> None:
    """Run the CQL statements of a file on the Cassandra of this machine."""
    cluster = Cluster(["127.0.0.1"])
    session = cluster.connect()
    for statement in _COMMENT.sub("", file.read_text()).split(";"):
        if statement.strip():
            session.execute(statement)
    cluster.shutdown()


def open_buckets(url: str) -> None:
    """Let everybody read all buckets of the store, as the reference's Compose file does."""
    store = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="minioadmin",
        aws_secret_access_key="minioadmin123",
        region_name="us-east-1",
    )
    for bucket in store.list_buckets()["Buckets"]:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": ["*"]},
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{bucket['Name']}/*"],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        store.put_bucket_policy(Bucket=bucket["Name"], Policy=json.dumps(policy))


def main() -> None:
    """Run the step that the command line names."""
    match sys.argv[1:]:
        case ["cassandra", file]:
            create_tables(Path(file))
        case ["bucket", url]:
            open_buckets(url)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
