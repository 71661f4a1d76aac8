"""Passwords: argon2id with OWASP's parameters (one pass over 46 MiB, about 50 ms)."""

import functools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_MEMORY_KIB = 46 * 1024


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=1, memory_cost=_MEMORY_KIB, parallelism=1)


@functools.cache
def _nobodys_hash() -> str:
    return _hasher().hash("")


def hashed(password: str) -> str:
    """A salted hash to store."""
    return _hasher().hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Whether this is the password; without a hash (unknown user) the same work is done for a no."""
    nobodys = _nobodys_hash()  # its first use costs a hash: for whoever comes first, not for the first unknown
    try:
        return _hasher().verify(password_hash or nobodys, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
