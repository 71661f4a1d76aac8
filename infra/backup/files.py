"""The objects of MinIO: a copy of each version, and a journal of when it was stored and removed."""

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import msgspec
from botocore.config import Config

from infra.backup import folder
from infra.backup.folder import Generation
from infra.stack.env_file import stores_ca_file

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_THREADS: Final = 8


class Stored(msgspec.Struct, frozen=True, kw_only=True, tag="stored"):
    """A version of an object."""

    at: datetime
    key: str
    etag: str
    sha256: str
    media_type: str
    metadata: dict[str, str]


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag="removed"):
    """An object that was not there any more at this time."""

    at: datetime
    key: str


class Journal:
    """The journal of a generation, and the objects that are in the bucket according to it."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        entries, length = _read(generation.journal)
        self._present = present_at(entries, None)
        if generation.journal.exists():
            os.truncate(generation.journal, length)

    def copy(self, store: "S3Client", bucket: str) -> int:
        """Copy what was stored since the last call, and record what was removed; the number of copies.

        Raises botocore's errors; the next call continues.
        """
        moment, listed = folder.now(), _list(store, bucket)
        new = [
            key
            for key, (etag, at) in listed.items()
            if (known := self._present.get(key)) is None or (known.etag, known.at) != (etag, at)
        ]
        removed = [Removed(at=moment, key=key) for key in self._present.keys() - listed.keys()]
        with self._generation.journal.open("ab") as journal, ThreadPoolExecutor(_THREADS) as threads:
            copied = 0
            for entry in chain(threads.map(functools.partial(self._copy_object, store, bucket), new), removed):
                if entry is None:
                    continue
                journal.write(encode(entry))
                _apply(self._present, entry)
                copied += isinstance(entry, Stored)
            journal.flush()
            os.fsync(journal.fileno())
        return copied

    def _copy_object(self, store: "S3Client", bucket: str, key: str) -> Stored | None:
        try:
            found = store.get_object(Bucket=bucket, Key=key)
        except store.exceptions.NoSuchKey:
            return None
        data = found["Body"].read()
        digest = hashlib.sha256(data).hexdigest()
        path = self._generation.contents / digest
        if not path.exists():
            folder.write(path, data)
        return Stored(
            at=found["LastModified"],
            key=key,
            etag=found["ETag"],
            sha256=digest,
            media_type=found["ContentType"],
            metadata=found["Metadata"],
        )


def connect(settings: Mapping[str, str]) -> "S3Client":
    """A client of the object store, with the account in these settings."""
    return boto3.client(
        "s3",
        endpoint_url=settings["S3_ENDPOINT_URL"],
        verify=stores_ca_file(settings) or None,
        aws_access_key_id=settings["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"max_attempts": 3},
            max_pool_connections=_THREADS,
        ),
    )


def list_keys(store: "S3Client", bucket: str) -> set[str]:
    """The keys of all objects. Raises botocore's errors."""
    return set(_list(store, bucket))


def read_present(generation: Generation, moment: datetime) -> list[Stored]:
    """The objects that were in the bucket at a moment."""
    return list(present_at(_read(generation.journal)[0], moment).values())


def present_at(entries: Iterable[Stored | Removed], moment: datetime | None) -> dict[str, Stored]:
    """The objects by key that were in the bucket at a moment, or at the end of the journal.

    A removal is recorded when it is noticed. Until then the file is taken as present: then it only takes space.
    """
    present: dict[str, Stored] = {}
    for entry in entries:
        if moment is None or entry.at <= moment:
            _apply(present, entry)
    return present


def restore(store: "S3Client", bucket: str, generation: Generation, present: Iterable[Stored]) -> Iterator[str | None]:
    """Store the objects, and yield None for each, or its key if its copy is missing or differs from its checksum."""

    def put(entry: Stored) -> str | None:
        path = generation.contents / entry.sha256
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            return entry.key
        store.put_object(Bucket=bucket, Key=entry.key, Body=data, ContentType=entry.media_type, Metadata=entry.metadata)
        return None

    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(put, present)


def encode(entry: Stored | Removed) -> bytes:
    """A line of the journal."""
    return msgspec.json.encode(entry) + b"\n"


def forget_before(generation: Generation, moment: datetime) -> None:
    """Drop from the journal what no moment after this one needs."""
    entries = _read(generation.journal)[0]
    needed = present_at(entries, moment)
    kept: list[Stored | Removed] = [*needed.values(), *(entry for entry in entries if entry.at > moment)]
    folder.write(generation.journal, b"".join(encode(entry) for entry in kept))


def used_contents(journal: Path) -> set[str]:
    """The contents that a journal needs."""
    return {entry.sha256 for entry in _read(journal)[0] if isinstance(entry, Stored)}


def _list(store: "S3Client", bucket: str) -> dict[str, tuple[str, datetime]]:
    """Etag and time of each object; the time in seconds, as the answer to a request for the object has it."""
    pages: Any = store.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {
        each["Key"]: (each["ETag"], each["LastModified"].replace(microsecond=0))
        for page in pages
        for each in page.get("Contents", [])
    }


def _read(path: Path) -> tuple[list[Stored | Removed], int]:
    """The whole lines of a journal, and their length in bytes: a power failure may cut off the last one."""
    data = path.read_bytes() if path.exists() else b""
    length = data.rfind(b"\n") + 1
    return [msgspec.json.decode(line, type=Stored | Removed) for line in data[:length].splitlines()], length


def _apply(present: dict[str, Stored], entry: Stored | Removed) -> None:
    if isinstance(entry, Stored):
        present[entry.key] = entry
    else:
        present.pop(entry.key, None)
