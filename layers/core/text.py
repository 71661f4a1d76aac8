"""Texts of requests: how they are declared, cleaned and limited."""

import re
from typing import Any, Final

import msgspec

from layers.core.errors import Invalid

_ELEMENTS_WITH_CONTENT: Final = re.compile(r"<(script|style)\b[^>]*>.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_MARKUP: Final = re.compile(r"<!--.*?(-->|\Z)|</?[a-zA-Z][^<>]*>|<![a-zA-Z][^<>]*>|<\?[^<>]*>", re.DOTALL)
_OPENING: Final = re.compile(r"<+(?=[a-zA-Z/!?])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]|[\ud800-\udfff]")
_HASHTAG: Final = re.compile(r"(?:^|(?<=[^\w&/#]))#(\w{1,50})(?!\w)")

_ROUNDS: Final = 10


def remove_markup(text: str) -> str:
    """The text without markup and control characters, with LF line ends and no white space around it (R-V3).

    Script and style elements go with their content. `I <3 you`, `a < b` and `&amp;` stay as typed. Removal is repeated
    until nothing changes, so that the remaining characters cannot form new markup.
    """
    text = normalize(text)
    for _ in range(_ROUNDS):
        stripped = _MARKUP.sub("", _ELEMENTS_WITH_CONTENT.sub("", text))
        if stripped == text:
            return text.strip()
        text = stripped
    # There is still markup after ten rounds, so it was nested on purpose. Without opening brackets there is no markup.
    return _OPENING.sub("", text).strip()


def normalize(text: str) -> str:
    """The text with LF line ends and without control characters; markup and white space stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Declares a text of a request: `caption: Annotated[str, Text(at_most=2200)]`.

    The entry point cleans the text and checks its length in characters (code points) afterwards. The description of
    the API is made from the same declaration.
    """

    at_most: int
    at_least: int = 0
    keeps_markup: bool = False
    """Change only line ends and control characters; otherwise markup and surrounding white space are removed too."""

    def apply(self, value: str, field: str) -> str:
        """The cleaned text; raises `Invalid` naming the field if its length is not allowed."""
        text = normalize(value) if self.keeps_markup else remove_markup(value)
        if len(text) > self.at_most:
            raise Invalid.field(field, f"must be at most {self.at_most} characters long, not {len(text)}")
        if len(text) < self.at_least:
            least = f"must be at least {self.at_least} characters long"
            raise Invalid.field(field, "must not be empty" if self.at_least == 1 else least)
        return text

    @property
    def json_schema(self) -> dict[str, Any]:
        """The declaration in JSON Schema."""
        least = {"minLength": self.at_least} if self.at_least else {}
        return {**least, "maxLength": self.at_most}


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    r"""Declares the form of a text, used unchanged: `tag: Annotated[str, Pattern(regex=r"\w+", message="…")]`."""

    regex: str
    """The whole text must match it."""
    message: str
    """The error message: "must be …"."""

    def apply(self, value: str, field: str) -> str:
        """The text; raises `Invalid` naming the field if it does not match."""
        if not re.fullmatch(self.regex, value):
            raise Invalid.field(field, self.message)
        return value

    @property
    def json_schema(self) -> dict[str, Any]:
        """The declaration in JSON Schema."""
        return {"pattern": f"^({self.regex})$"}


def find_hashtags(caption: str) -> list[str]:
    """The hashtags of a caption, in lower case and without `#`, each once, in order."""
    return list(dict.fromkeys(tag.lower() for tag in _HASHTAG.findall(caption)))
