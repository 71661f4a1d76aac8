"""Multipart forms: files in order, and text fields. The parts may come in any order."""

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from layers.core import limits
from layers.core.errors import FieldError, FileTooLarge, Invalid, TooLarge
from layers.core.files import File

_PARTS = 64


class Form(msgspec.Struct, frozen=True):
    """The parts of a form."""

    files: tuple[File, ...]
    texts: dict[str, str]
    """Text fields with LF line ends; of several with the same name the last one counts."""


def read_form(body: bytes, content_type: str) -> Form:
    """Parse a multipart body.

    Raises `FileTooLarge` for a file over 10 MiB, `TooLarge` for a text over 64 KiB, and `Invalid` for a malformed body.
    """
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
                    _add_part(segment, b"".join(chunks), files, texts)
                    segment = None
            list(parser.parse(b""))
    except MultipartError as error:
        raise Invalid(f"The multipart body cannot be read: {error.args[0]}") from None
    return Form(files=tuple(files), texts=texts)


def _add_part(segment: MultipartSegment, data: bytes, files: list[File], texts: dict[str, str]) -> None:
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
