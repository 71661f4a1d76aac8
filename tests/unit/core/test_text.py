"""What people type, made fit to store."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.core import media_links
from layers.core.text import find_hashtags, remove_markup

MARKUP_LIKE = st.text(alphabet="<>/!?-scriptyle &b\"'=\r\n\x00\x01\u2028", max_size=200)


@pytest.mark.rule("R-V3")
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Hello <b>you</b>", "Hello you"),
        ("<p class='x'>a<br/>b</p>", "ab"),
        ("<div\n onclick=alert(1)>x", "x"),
        ("before<!-- a > b -->after", "beforeafter"),
        ("before<!-- never ends", "before"),
        ("<!DOCTYPE html><?xml version='1.0'?>x", "x"),
        ("</b>x", "x"),
    ],
)
def test_markup_is_removed_not_escaped(typed: str, kept: str) -> None:
    assert remove_markup(typed) == kept


@pytest.mark.rule("R-V3")
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("a<script>alert(1)</script>b", "ab"),
        ("a<SCRIPT src=x>alert(1)</ScRiPt >b", "ab"),
        ("a<style>p {color: red}</style>b", "ab"),
        ("a<script>never ends", "a"),
        ("a<script>1</script>b<style>2</style>c", "abc"),
    ],
)
def test_script_and_style_go_with_their_content(typed: str, kept: str) -> None:
    assert remove_markup(typed) == kept


@pytest.mark.rule("R-V3")
@pytest.mark.parametrize(
    "typed", ["I <3 you", "a < b", "&amp;", "a <= b >= c", "1<2", ">_<", "x -> y", "<", "a <", "😀 日本"]
)
def test_what_is_no_markup_stays_as_typed(typed: str) -> None:
    assert remove_markup(typed) == typed


@pytest.mark.rule("R-V3")
@pytest.mark.parametrize(
    "typed",
    [
        "<scr<script>x</script>ipt>alert(1)</scr<b>ipt>",
        "<<b>script>alert(1)<</b>/script>",
        "<im<b></b>g src=x onerror=alert(1)>",
        "<\x00script>alert(1)</script>",
        "<b" * 500 + ">" * 500,
    ],
)
def test_what_remains_never_forms_new_markup(typed: str) -> None:
    left = remove_markup(typed)

    assert "<" not in left
    assert remove_markup(left) == left


def test_line_ends_become_lf_and_white_space_around_goes() -> None:
    assert remove_markup(" \t a\r\nb\rc\n ") == "a\nb\nc"
    assert remove_markup(" \n\t\r\n ") == ""


def test_control_characters_are_removed_so_that_media_marks_cannot_be_forged() -> None:
    typed = f"{media_links.POST_MARK}x{media_links.AVATAR_MARK}y\x00\x07\x7f\u2028z\tw"

    assert remove_markup(typed) == "xyz\tw"


@given(MARKUP_LIKE)
def test_cleaning_again_changes_nothing_and_leaves_no_element(typed: str) -> None:
    left = remove_markup(typed)

    assert remove_markup(left) == left
    assert "<script>" not in left.lower()
    assert not any(ord(character) < 32 and character not in "\t\n" for character in left)


@pytest.mark.parametrize(
    "typed",
    [
        "<b" * 16_000 + ">" * 16_000,
        "<<" * 16_000 + "b>" * 16_000,
        "<script" * 9_000,
        "<!--" * 16_000,
        "<scr" * 8_000 + "<script></script>" + "ipt>" * 8_000,
    ],
    ids=["nested", "opened", "scripts", "comments", "joined"],
)
def test_no_text_that_a_form_may_hold_takes_long(typed: str) -> None:
    started = time.process_time()
    remove_markup(typed)

    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("#Sun and #sea, #sun", ["sun", "sea"]),
        ("no tags here # alone", []),
        ("#é #日本 #under_score #2026", ["é", "日本", "under_score", "2026"]),
        ("mail a#b, entity &#39; path /#q and ##twice", []),
        ("end.#dot", ["dot"]),
        ("#" + "x" * 51, []),
        ("", []),
    ],
)
def test_hashtags_are_lower_case_each_once_in_order(caption: str, tags: list[str]) -> None:
    assert find_hashtags(caption) == tags
