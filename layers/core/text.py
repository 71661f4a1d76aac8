"""What people type, made fit to store: markup removed, line ends folded, control characters gone."""

import re

from layers.core.errors import Invalid

_ELEMENTS_WITH_CONTENT = re.compile(r"<(script|style)\b[^>]*>.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"<!--.*?(-->|\Z)|</?[a-zA-Z][^<>]*>|<![a-zA-Z][^<>]*>|<\?[^<>]*>", re.DOTALL)
_OPENED = re.compile(r"<+(?=[a-zA-Z/!?])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]|[\ud800-\udfff]")
_HASHTAG = re.compile(r"(?:^|(?<=[^\w&/#]))#(\w{1,50})(?!\w)")

_ROUNDS = 10


def cleaned(typed: str) -> str:
    """The text without markup (script and style go with their content), LF line ends, no white space around it.

    `I <3 you`, `a < b` and `&amp;` stay as typed. Removal repeats until nothing changes, so that what is left
    can never join into new markup.
    """
    text = typed.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text)
    for _ in range(_ROUNDS):
        stripped = _MARKUP.sub("", _ELEMENTS_WITH_CONTENT.sub("", text))
        if stripped == text:
            return text.strip()
        text = stripped
    return _OPENED.sub("", text).strip()  # nested so deep by intent, to join or to keep us busy: nothing may open


def plain(typed: str) -> str:
    """The text as it was typed, but for line ends (LF) and control characters, which are gone."""
    return _CONTROL.sub("", typed.replace("\r\n", "\n").replace("\r", "\n"))


def bounded(field: str, typed: str | None, length: int) -> str | None:
    """The text, cleaned; raises `Invalid` for one that is longer then. None stays None."""
    if typed is None:
        return None
    text = cleaned(typed)
    if len(text) > length:
        raise Invalid.field(field, f"at most {length} characters, not {len(text)}")
    return text


def hashtags(caption: str) -> list[str]:
    """The `#tags` of a caption: lower case, without `#`, each once, in order."""
    return list(dict.fromkeys(tag.lower() for tag in _HASHTAG.findall(caption)))
