"""Uploaded files, and how requests declare the files that they take."""

from collections.abc import Sequence
from typing import Any

import msgspec

from layers.core import limits
from layers.core.errors import FieldError, FileTooLarge, Invalid, UnsupportedImage


class File(msgspec.Struct, frozen=True):
    """An uploaded file. Its name comes from the client: use it in messages, never for decisions."""

    field: str
    name: str
    data: bytes


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Declares files of a form: `media: Annotated[File, Files(names=("media",), at_least=1)]`.

    The entry point fills the field, a `File`, a `File | None` or a tuple, with the files that were sent under any of
    these names, in order. The description of the API is made from the same declaration.
    """

    names: tuple[str, ...]
    """Accepted names of the form's parts; the first is the canonical one."""
    at_least: int = 0
    at_most: int = 1

    def select(self, files: Sequence[File]) -> tuple[File, ...]:
        """The files under these names, in order; raises `Invalid` for a wrong number of files and for an empty file.

        Browsers send an empty file input as a part without a file name and content: it does not count.
        """
        selected = tuple(file for file in files if file.field in self.names and (file.name or file.data))
        if not self.at_least <= len(selected) <= self.at_most:
            raise Invalid.field(
                selected[0].field if selected else self.names[0], f"{self._number()}, not {len(selected)}"
            )
        for file in selected:
            if not file.data:
                raise Invalid.field(file.field, f"{file.name or file.field}: the file is empty")
        return selected

    def _number(self) -> str:
        if self.at_most == 1:
            return "exactly 1 file" if self.at_least else "at most 1 file"
        return f"{self.at_least} to {self.at_most} files"


class FileSize(msgspec.Struct, frozen=True):
    """Declares the size, in bytes, of a file that is sent later: more than 10 MiB is 413."""

    def apply(self, value: int, field: str) -> int:
        """The size; raises `FileTooLarge` naming the field."""
        if value > limits.FILE_BYTES:
            refusal = f"{value} bytes are more than {limits.FILE_BYTES} (10 MiB)"
            raise FileTooLarge(f"{field}: {refusal}", errors=(FieldError(field, refusal),))
        return value

    @property
    def json_schema(self) -> dict[str, Any]:
        """The declaration in JSON Schema."""
        return {"maximum": limits.FILE_BYTES}


class FileType(msgspec.Struct, frozen=True):
    """Declares the media type of a file that is sent later: any but the four image types is 415."""

    def apply(self, value: str, field: str) -> str:
        """The type; raises `UnsupportedImage` naming the field."""
        if value not in limits.FILE_TYPES:
            raise UnsupportedImage(f"{field}: must be one of {', '.join(limits.FILE_TYPES)}", file=field)
        return value

    @property
    def json_schema(self) -> dict[str, Any]:
        """The declaration in JSON Schema."""
        return {"enum": list(limits.FILE_TYPES)}
