"""Keeps the memory of imported modules shared with the processes that are forked later (copy on write).

CPython counts references inside each object, so a forked process copies each page on which it uses one: 8 of the 30 MB
of a host. Immortal objects are not counted (PEP 683). CPython makes its own constants immortal and offers no call for
others, so this writes the counter of `None`, which is immortal, into theirs.
https://peps.python.org/pep-0683/
"""

import ctypes
import gc
import sys
import sysconfig
from types import CodeType, FrameType
from typing import Any, Final

_IS_KNOWN_LAYOUT: Final = sys.version_info[:2] == (3, 13) and not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Whether an object begins with a counter of the size of a pointer; other versions only share less."""


def share_with_forks() -> None:
    """Make all objects of this process immortal, and exempt them from garbage collection.

    Call it after the imports, and again after further ones: it costs 2 µs for each object that is new.
    """
    gc.collect()
    if _IS_KNOWN_LAYOUT:
        _make_immortal(gc.get_objects())
    gc.freeze()  # a collection writes to every object that it visits


def _make_immortal(objects: list[object]) -> None:
    """Make these objects immortal, and all that can be reached from them."""
    immortal = sys.getrefcount(None)
    found = objects
    while found:
        reached: list[object] = []
        for each in found:
            if sys.getrefcount(each) != immortal and not isinstance(each, FrameType):
                _counter(each).value = immortal
                reached += _code_parts(each) if isinstance(each, CodeType) else gc.get_referents(each)
        found = reached


def _counter(value: object) -> Any:
    return ctypes.c_ssize_t.from_address(id(value))


def _code_parts(code: CodeType) -> list[object]:
    """The objects of a function's code, which the garbage collector does not know."""
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_filename, code.co_qualname)
    return [code.co_consts, *names, code.co_name, code.co_linetable, code.co_exceptiontable]
