"""Multipart forms as browsers, scripts and attackers send them."""

import pytest

from layers.core import limits
from layers.core.errors import FileTooLarge, Invalid, TooLarge
from layers.core.files import File
from layers.entrypoints.multipart import Form, read_form

TYPE = "multipart/form-data; boundary=X"


def _part(disposition: str, data: bytes, *, headers: str = "") -> bytes:
    head = f"--X\r\nContent-Disposition: form-data; {disposition}\r\n{headers}\r\n"
    return head.encode() + data + b"\r\n"


def _read(*parts: bytes, end: bytes = b"--X--\r\n") -> Form:
    return read_form(b"".join(parts) + end, TYPE)


def test_files_keep_their_order_and_texts_their_last_value_wherever_they_stand() -> None:
    form = _read(
        _part('name="media"; filename="1.jpg"', b"one"),
        _part('name="caption"', b"first"),
        _part('name="media"; filename="2.jpg"', b"two"),
        _part('name="caption"', b"last"),
        _part('name="other"; filename="3.jpg"', b"three"),
    )

    one, two, three = File("media", "1.jpg", b"one"), File("media", "2.jpg", b"two"), File("other", "3.jpg", b"three")
    assert form.files == (one, two, three)
    assert form.texts == {"caption": "last"}


def test_bytes_of_a_file_are_untouched_and_line_ends_of_texts_are_folded() -> None:
    data = bytes(range(256)) + b"\r\n--Y\r\n-X\r\r\n"
    form = _read(_part('name="media"; filename="x"', data), _part('name="caption"', b"a\r\nb\r\n"))

    assert form.files[0].data == data
    assert form.texts == {"caption": "a\nb\n"}


def test_the_declared_type_is_ignored() -> None:
    form = _read(_part('name="media"; filename="x.heic"', b"1", headers="Content-Type: application/x-anything\r\n"))

    assert form.files == (File("media", "x.heic", b"1"),)


def test_a_file_input_left_empty_is_a_nameless_empty_file() -> None:
    assert _read(_part('name="media"; filename=""', b"")).files == (File("media", "", b""),)


def test_a_text_named_files_is_no_file() -> None:
    form = _read(_part('name="files"', b"evil"))

    assert (form.files, form.texts) == ((), {"files": "evil"})


def test_preamble_epilogue_and_quoted_boundary_are_read() -> None:
    body = b"hello\r\n" + _part('name="a"', b"1") + b"--X--\r\ngoodbye"

    assert read_form(body, 'Multipart/Form-Data; Boundary="X"').texts == {"a": "1"}


def test_an_empty_form_has_nothing() -> None:
    assert _read() == Form(files=(), texts={})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--X\r\nnonsense",
        _part('name="a"', b"1"),
        _part('name="a"', b"1") + b"--X",
        _part('name="a"', b"1").replace(b"\r\n", b"\n") + b"--X--\n",
        b"--X\r\nContent-Type: text/plain\r\n\r\nx\r\n--X--\r\n",
        _part(f'name="{"a" * 100_000}"', b"1") + b"--X--\r\n",
        b"".join(_part('name="a"', b"1") for _ in range(65)) + b"--X--\r\n",
        b'--X\r\nContent-Disposition: form-data; name="\xe9"\r\n\r\nx\r\n--X--\r\n',
    ],
    ids=["empty", "no header", "unterminated", "cut", "lf", "no disposition", "long header", "65 parts", "latin-1"],
)
def test_a_broken_body_is_invalid_and_the_error_says_why(body: bytes) -> None:
    with pytest.raises(Invalid, match="multipart body") as refusal:
        read_form(body, TYPE)

    assert "Error(" not in str(refusal.value)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", ""])
def test_a_form_without_a_boundary_is_invalid(content_type: str) -> None:
    with pytest.raises(Invalid, match="boundary"):
        read_form(b"--X--\r\n", content_type)


def test_text_that_is_not_utf_8_is_invalid_and_named() -> None:
    with pytest.raises(Invalid) as refusal:
        _read(_part('name="caption"', b"\xff\xfe"))

    assert refusal.value.errors[0].field == "caption"


@pytest.mark.rule("R-M1")
def test_ten_mebibytes_pass_and_one_byte_more_is_refused_by_name_and_limit() -> None:
    exact = b"\r\n" * (limits.FILE_BYTES // 2)
    assert len(_read(_part('name="media"; filename="big.jpg"', exact)).files[0].data) == 10_485_760

    with pytest.raises(FileTooLarge, match=r"big\.jpg.*10 MiB") as refusal:
        _read(_part('name="media"; filename="ok.jpg"', b"1"), _part('name="media"; filename="big.jpg"', exact + b"1"))
    assert refusal.value.errors[0].field == "media"


def test_a_text_over_64_kib_is_too_large_and_named() -> None:
    assert len(_read(_part('name="caption"', b"x" * 64 * 1024)).texts["caption"]) == 64 * 1024

    with pytest.raises(TooLarge, match="caption"):
        _read(_part('name="caption"', b"x" * (64 * 1024 + 1)))
