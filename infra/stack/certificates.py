"""The certificate with which the stores serve TLS, and the private authority that signs it: files in the state folder.

No other machine or stack trusts this authority. MinIO prescribes the names of certificate and key.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from infra.stack import commands
from infra.stack.profiles import Profile, is_root

NAME: Final = "localhost"
"""The certificate is for this name and for 127.0.0.1."""
AUTHORITY: Final = "authority.pem"
CERTIFICATE: Final = "public.crt"
KEY: Final = "private.key"
POSTGRES_KEY: Final = "postgres.key"
"""The same key for PostgreSQL's user: PostgreSQL refuses one that others may read."""
KEYSTORE: Final = "cassandra.pem"
"""Key and certificate in one file, for Cassandra."""

_AUTHORITY_KEY: Final = "authority.key"
_AUTHORITY_DAYS: Final = 3650
_DAYS: Final = 365
_RENEWED_DAYS: Final = 60
"""A certificate that expires sooner is renewed when the stack starts."""
_DAY_SECONDS: Final = 86_400
_CONFIGURATION: Final = Path(__file__).with_suffix(".cnf")


def folder(profile: Profile) -> Path:
    """The folder of the files; PostgreSQL's user may enter it."""
    return profile.state / "tls"


def provide(profile: Profile, *, days: int = _DAYS) -> str:
    """The certificate in PEM. It is created if a file is missing, and renewed, for so many days, if it expires soon.

    The authority stays, so that clients trust the new certificate too, unless it expires before the certificate.
    Raises `CommandFailed`.
    """
    present = folder(profile)
    is_whole = all((present / name).is_file() for name in (AUTHORITY, KEY, POSTGRES_KEY, KEYSTORE))
    if not is_whole or not _is_valid(present / CERTIFICATE, _RENEWED_DAYS):
        new = present.with_name("tls-new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o711)
        if _is_valid(present / AUTHORITY, days):
            for name in (AUTHORITY, _AUTHORITY_KEY):
                shutil.copy2(present / name, new)
        else:
            _create_authority(new)
        _create_certificate(new, days)
        shutil.rmtree(present, ignore_errors=True)  # all files of the folder belong together
        new.rename(present)
    return (present / CERTIFICATE).read_text()


def _is_valid(certificate: Path, days: int) -> bool:
    """Whether there is this certificate, and it is valid for so many days."""
    command = ["openssl", "x509", "-checkend", str(days * _DAY_SECONDS), "-noout", "-in", str(certificate)]
    return certificate.is_file() and not subprocess.run(command, capture_output=True, check=False).returncode


def _create_authority(target: Path) -> None:
    _openssl_req(
        *("-extensions", "authority", "-days", str(_AUTHORITY_DAYS)),
        *("-keyout", str(target / _AUTHORITY_KEY), "-out", str(target / AUTHORITY)),
    )


def _create_certificate(target: Path, days: int) -> None:
    certificate, key = str(target / CERTIFICATE), str(target / KEY)
    _openssl_req(
        *("-extensions", "server", "-days", str(days), "-subj", f"/CN={NAME}"),
        *("-CA", str(target / AUTHORITY), "-CAkey", str(target / _AUTHORITY_KEY), "-keyout", key, "-out", certificate),
    )
    (target / KEYSTORE).touch(mode=0o600)
    (target / KEYSTORE).write_text("".join((target / name).read_text() for name in (KEY, CERTIFICATE)))
    shutil.copy2(key, target / POSTGRES_KEY)
    if is_root():
        shutil.chown(target / POSTGRES_KEY, "postgres", "postgres")


def _openssl_req(*arguments: str) -> None:
    """Create a key, readable by its owner alone, and a certificate for it."""
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    commands.run(["openssl", "req", "-x509", *kind, "-config", str(_CONFIGURATION), *arguments])
