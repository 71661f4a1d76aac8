"""The data that the host sends to an environment's first process."""

from typing import TypedDict


class Launch(TypedDict):
    """The process to start. If `root` is None, it is started without mounts and as the same user."""

    root: str | None
    binds: list[tuple[str, str]]
    tmp_bytes: int
    memory_bytes: int
    command: list[str]
    folder: str
    variables: dict[str, str]
