"""The environment's file system: the host's folders, read-only, and AWS's folders at their paths.

Must run in its own mount namespace whose mounts are private.
"""
# The import of pathlib takes 5 ms of every cold start:
# ruff: noqa: PTH102, PTH103, PTH115, PTH211

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC = 0x2, 0x4, 0x1000, 0x4000
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_SYS_MOUNT_SETATTR = 442  # the same on every architecture; older versions of libc have no function for it
_ATTR_RDONLY, _ATTR_NOSUID = 0x1, 0x2
_NOT_FROM_HOST = {"dev", "opt", "proc", "tmp", "var"}
_DEVICES = ("null", "zero", "full", "random", "urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def build(root: str, binds: "Sequence[tuple[str, str]]", tmp_bytes: int) -> None:
    """Make `root` (an empty folder) the new `/`.

    `binds` are pairs of a path of the host and a path in the environment. /tmp is empty and writable, with `tmp_bytes`
    of space. Raises `OSError`.
    """
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")
    _bind_host(root)
    _bind_devices(root)
    for folder in ("opt", "proc", "tmp", "var"):
        os.mkdir(f"{root}/{folder}")
    for source, target in binds:
        os.makedirs(root + target, exist_ok=True)
        _mount(source, root + target, None, _MS_BIND | _MS_REC)
    _make_read_only(root)
    _mount("proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV)
    _mount("tmpfs", f"{root}/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=1777,size={tmp_bytes}")  # noqa: S108 (a mount point)
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount2")  # the old root is mounted over the new one


def _bind_host(root: str) -> None:
    for entry in os.scandir("/"):
        if entry.name in _NOT_FROM_HOST:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), root + entry.path)
        elif entry.is_dir():
            os.mkdir(root + entry.path)
            _mount(entry.path, root + entry.path, None, _MS_BIND | _MS_REC)


def _bind_devices(root: str) -> None:
    os.mkdir(f"{root}/dev")
    for name in _DEVICES:
        os.close(os.open(f"{root}/dev/{name}", os.O_CREAT))
        _mount(f"/dev/{name}", f"{root}/dev/{name}", None, _MS_BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"{root}/dev/{name}")


def _make_read_only(root: str) -> None:
    attributes = struct.pack("=QQQQ", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        root.encode(),
        ctypes.c_uint(_AT_RECURSIVE),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    _check(result, f"mount_setattr {root}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _check(result, f"mount {target}")


def _check(result: int, action: str) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{action}: {os.strerror(error)}")
