"""Multipart forms: files in order and text fields, in whatever order the parts came."""

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from layers.core import limits
from layers.core.errors import FieldError, FileTooLarge, Invalid, TooLarge

_PARTS = 64


class File(msgspec.Struct, frozen=True):
    """An uploaded file. Name and declared type are the sender's words: good for messages, not for decisions."""

    field: str
    name: str
    data: bytes


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Under which names a form's files are read, and how many of them: said beside the field, for the documentation."""

    names: tuple[str, ...]
    """The first, and those that mean the same."""
    at_least: int = 0
    at_most: int = 1


class Form(msgspec.Struct, frozen=True):
    """All parts of a form."""

    files: tuple[File, ...]
    texts: dict[str, str]
    """Text fields, line ends folded to LF; the last one wins."""

    def files_of(self, *fields: str) -> tuple[File, ...]:
        """The files sent under any of these names, in order."""
        return tuple(file for file in self.files if file.field in fields)


def read_form(body: bytes, content_type: str) -> Form:
    """The parts of a multipart body; a file over 10 MiB raises `FileTooLarge` with its name."""
    _, options = parse_options_header(content_type)
    boundary = options.get("boundary")
    if not boundary:
        raise Invalid("The multipart body has no boundary.")
    files: list[File] = []
    texts: dict[str, str] = {}
    try:
        with PushMultipartParser(boundary, max_segment_count=_PARTS) as parser:
            segment: MultipartSegment | None = None
            chunks: list[bytes | bytearray] = []
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment, chunks = event, []
                elif event:
                    chunks.append(event)
                elif segment is not None:
                    _keep(segment, b"".join(chunks), files, texts)
                    segment = None
            list(parser.parse(b""))
    except MultipartError as error:
        raise Invalid(f"The multipart body cannot be read: {error.args[0]}") from None
    return Form(files=tuple(files), texts=texts)


def _keep(segment: MultipartSegment, data: bytes, files: list[File], texts: dict[str, str]) -> None:
    if segment.filename is not None:
        if len(data) > limits.FILE_BYTES:
            refusal = f"{segment.filename}: {len(data)} bytes are more than {limits.FILE_BYTES} (10 MiB)"
            raise FileTooLarge(refusal, errors=(FieldError(segment.name, refusal),))
        files.append(File(field=segment.name, name=segment.filename, data=data))
        return
    if len(data) > limits.TEXT_PART_BYTES:
        raise TooLarge(f"{segment.name}: the text is longer than {limits.TEXT_PART_BYTES // 1024} KiB")
    try:
        texts[segment.name] = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Invalid.field(segment.name, "must be UTF-8 text") from None
