"""What a Struct declares beyond its types is enforced, and described, from one place."""

from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
import pytest

from layers.core import limits
from layers.core.errors import FileTooLarge, Invalid, UnsupportedImage
from layers.core.files import File, Files, FileSize, FileType
from layers.core.models import Caption, Shape
from layers.core.text import Pattern, Text
from layers.entrypoints.arguments import convert
from layers.entrypoints.declarations import select_files

type Short = Annotated[str, Text(at_least=1, at_most=5)]


class Sent(Shape, frozen=True, kw_only=True):
    """A file that is sent later."""

    size: Annotated[int, FileSize()] = 1
    media_type: Annotated[str, FileType()] = "image/png"


class Body(Shape, frozen=True, kw_only=True):
    """A body with every kind of declaration."""

    name: Short = "name"
    other_name: Short | None = None
    caption: Caption = ""
    raw: Annotated[str, Text(at_most=12, keeps_markup=True)] = ""
    words: tuple[Annotated[str, Pattern(regex=r"\w+", message="must be a word")], ...] = ()
    sent: tuple[Sent, ...] = ()
    ids: tuple[UUID, ...] = ()
    one_id: UUID | None = None


def refused(**members: Any) -> Any:
    try:
        convert(members, Body)
    except (Invalid, FileTooLarge, UnsupportedImage) as refusal:
        [error] = refusal.errors
        return error.field, error.detail
    pytest.fail("not refused")


def test_texts_are_trimmed_and_without_markup_and_counted_after_that() -> None:
    body = convert({"name": " <b>12345</b>\r\n ", "otherName": None, "caption": "a\r\nb"}, Body)

    assert (body.name, body.other_name, body.caption) == ("12345", None, "a\nb")
    assert refused(name="123456") == ("name", "must be at most 5 characters long, not 6")
    assert refused(name=" <i></i> ") == ("name", "must not be empty")
    assert refused(otherName="123456")[0] == "otherName"


def test_a_text_may_keep_its_markup_and_its_white_space() -> None:
    assert convert({"raw": " <b>x</b>\r\n"}, Body).raw == " <b>x</b>\n"
    assert refused(raw="x" * 13)[0] == "raw"


def test_characters_are_code_points() -> None:
    assert convert({"name": "👩\u200d🚀ab"}, Body).name == "👩\u200d🚀ab"
    assert refused(name="👩\u200d🚀abc")[0] == "name"


def test_items_of_lists_are_checked_each_with_its_place() -> None:
    assert convert({"words": ["a", "ñ_1"]}, Body).words == ("a", "ñ_1")
    assert refused(words=["a", "b c"]) == ("words[1]", "must be a word")
    assert refused(words=["a\n"])[0] == "words[0]"


def test_structs_within_lists_are_checked() -> None:
    assert convert({"sent": [{"size": limits.FILE_BYTES}]}, Body).sent == (Sent(size=limits.FILE_BYTES),)
    assert refused(sent=[{}, {"size": limits.FILE_BYTES + 1}])[0] == "sent[1].size"
    assert refused(sent=[{"mediaType": "image/gif"}])[0] == "sent[0].mediaType"


@pytest.mark.rule("R-V1")
def test_ids_have_one_form() -> None:
    known = uuid4()

    assert convert({"ids": [str(known), str(known).upper()]}, Body).ids == (known, known)
    assert refused(ids=[known.hex])[0] == "ids"
    assert refused(oneId=known.hex)[0] == "oneId"


class Form(Shape, frozen=True, kw_only=True):
    """A form with files."""

    several: Annotated[tuple[File, ...], Files(names=("media", "image"), at_least=1, at_most=2)]
    one: Annotated[File, Files(names=("one",), at_least=1)]
    optional: Annotated[File | None, Files(names=("optional",))] = None


def files(*fields: str, data: bytes = b"x") -> list[File]:
    return [File(field, f"{number}.jpg", data) for number, field in enumerate(fields)]


def test_files_are_given_to_the_fields_that_declare_their_names() -> None:
    one, image, media, _ = given = files("one", "image", "media", "unknown")

    assert select_files(Form, given) == {"several": (image, media), "one": one, "optional": None}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (files("one"), "media"),
        (files("one", "media", "image", "media"), "media"),
        (files("media"), "one"),
        (files("media", "one", "one"), "one"),
        (files("media", "one", "optional", "optional"), "optional"),
        (files("one") + files("media", data=b""), "media"),
    ],
    ids=["none", "too many", "missing", "two for one", "two for an optional one", "empty"],
)
def test_a_wrong_number_of_files_and_an_empty_file_are_refused(given: list[File], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        select_files(Form, given)

    assert [error.field for error in refusal.value.errors] == [field]


def test_an_empty_file_input_of_a_browser_is_no_file() -> None:
    given = [*files("media", "one"), File("optional", "", b"")]

    assert select_files(Form, given)["optional"] is None


def test_the_declarations_describe_themselves() -> None:
    assert Text(at_least=1, at_most=5).json_schema == {"minLength": 1, "maxLength": 5}
    assert FileSize().json_schema == {"maximum": 10 * 1024 * 1024}
    assert msgspec.json.encode(FileType().json_schema)
