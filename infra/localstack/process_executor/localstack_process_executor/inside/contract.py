"""What the host and an environment's first process tell each other."""

from typing import TypedDict


class Launch(TypedDict):
    """What to start; `root` is None where the machine allows no namespaces: then no mounts, no other user."""

    root: str | None
    binds: list[tuple[str, str]]
    tmp_bytes: int
    memory_bytes: int
    command: list[str]
    folder: str
    variables: dict[str, str]
