"""Hashes of passwords (R-A6): argon2id, 46 MiB and one pass, about 50 ms.

Source of the parameters: OWASP Password Storage Cheat Sheet.
"""

import functools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_MEMORY_KIB = 46 * 1024


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=1, memory_cost=_MEMORY_KIB, parallelism=1)


@functools.cache
def _placeholder_hash() -> str:
    return _hasher().hash("")


def hash_password(password: str) -> str:
    """The salted hash of a password, to be stored."""
    return _hasher().hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password has this hash.

    Without a hash, for an unknown user, the answer is False after the same time, so that the time does not show whether
    an account exists.
    """
    placeholder = _placeholder_hash()  # always: the first use takes the time of a hash, also for a known user
    try:
        return _hasher().verify(password_hash or placeholder, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
