"""Finds functions by what a person types."""

import difflib

from infra import template_map
from infra.template_map import Function


class UsageError(Exception):
    """The arguments are wrong; the message says what and what to do."""


def find_function(name: str) -> Function:
    """The function of this name, or of this path (`functions/posts/like_post.py`).

    Raises `UsageError` that suggests similar names.
    """
    wanted = name.removeprefix("functions/").removesuffix(".py")
    functions = {function.name: function for function in template_map.functions()}
    if wanted in functions:
        return functions[wanted]
    by_file = {each.rpartition("/")[2]: each for each in functions}
    similar = difflib.get_close_matches(wanted, functions, 3) or [
        by_file[file] for file in difflib.get_close_matches(wanted.rpartition("/")[2], by_file, 3)
    ]
    hint = f"Did you mean {', '.join(similar)}?" if similar else f"Functions: {', '.join(sorted(functions))}."
    raise UsageError(f"There is no function {name}. {hint}")
