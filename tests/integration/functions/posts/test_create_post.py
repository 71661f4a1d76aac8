"""POST /posts: what is accepted, what is refused, and that nothing is half-stored."""

import pytest

from functions.posts import create_post, delete_post, get_post
from layers.core import limits
from layers.media import photos
from layers.postgres.connection import transaction
from tests import pictures
from tests.support.calls import Reply, Upload, call
from tests.support.people import Person


def _create(person: Person, *uploads: Upload, **texts: str) -> Reply:
    return call(create_post, session_id=person.session_id, form=(list(uploads), texts))


def _rows(person: Person) -> int:
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM posts WHERE user_id = %s", [person.id]).fetchone()
    assert row
    count: int = row[0]
    return count


def _photo(**given: object) -> Upload:
    return Upload(pictures.jpeg(64, 48), **given)  # type: ignore[arg-type]


def test_the_answer_has_the_form_of_reference_and_original(ada: Person) -> None:
    reply = _create(ada, _photo(), caption="Hello", location="")
    answer = reply.json

    assert reply.status == 202
    assert (answer["status"], answer["post_id"]) == ("processing", answer["post"]["id"])
    assert answer["post"]["location"] is None
    assert answer["post"]["media"][0]["status"] == "processing"
    assert {"isLiked", "isSaved", "likeCount", "commentCount", "createdAt", "profilePictureUrl"} <= set(answer["post"])


def test_the_original_is_stored_before_the_answer(ada: Person) -> None:
    data = pictures.jpeg(64, 48)
    post_id = _create(ada, Upload(data)).json["post_id"]
    with transaction() as db:
        row = db.execute("SELECT original_key FROM post_media WHERE post_id = %s", [post_id]).fetchone()
    assert row

    assert photos.read_original(row[0]) == data


def test_declared_type_and_name_are_ignored(ada: Person) -> None:
    assert _create(ada, _photo(name="cat.gif", declared="image/gif")).status == 202
    assert _create(ada, _photo(name="", declared="")).status == 202


def test_the_originals_field_name_is_accepted(ada: Person) -> None:
    assert _create(ada, _photo(field="image")).status == 202


@pytest.mark.rule("R-V2")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
def test_the_four_types_are_accepted(ada: Person, kind: str) -> None:
    assert _create(ada, Upload(pictures.of_type(kind))).status == 202


@pytest.mark.rule("R-M1")
def test_exactly_ten_mebibytes_pass_and_one_more_is_413(ada: Person) -> None:
    exact = pictures.padded(pictures.jpeg(64, 48), limits.FILE_BYTES)

    assert _create(ada, Upload(exact)).status == 202
    refused = _create(ada, Upload(exact + b"\0", name="big.jpg"))
    assert refused.status == 413
    assert "big.jpg" in refused.json["error"]
    assert "10 MiB" in refused.json["error"]


@pytest.mark.rule("R-M1", "R-M8")
@pytest.mark.parametrize(("data", "status"), pictures.REFUSED)
def test_a_bad_file_is_refused_by_name_and_nothing_is_stored(ada: Person, data: bytes, status: int) -> None:
    reply = _create(ada, _photo(), Upload(data, name="holiday.jpg"))

    assert reply.status == status
    assert "holiday.jpg" in reply.json["error"]
    assert reply.json["errors"][0]["field"] == "media"
    assert _rows(ada) == 0


def test_ten_pictures_pass_and_none_or_eleven_are_400(ada: Person) -> None:
    assert _create(ada, *[_photo()] * 10).status == 202
    refused = [_create(ada), _create(ada, *[_photo()] * 11), _create(ada, _photo(field="other"))]

    assert [reply.status for reply in refused] == [400] * 3
    assert _rows(ada) == 1


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"caption": "x" * 2201}, "caption"),
        ({"location": "x" * 256}, "location"),
        ({"filters": '["sepia"]'}, "filters"),
        ({"tags": "[not json"}, "tags"),
        ({"tags": '["white space"]'}, "tags[0]"),
        ({"tags": '["%s"]' % ("x" * 51)}, "tags[0]"),
        ({"tags": "[{}]".format(", ".join(f'"t{n}"' for n in range(31)))}, "tags"),
    ],
)
def test_a_bad_text_is_named_and_nothing_is_stored(ada: Person, texts: dict[str, str], field: str) -> None:
    reply = _create(ada, _photo(), **texts)

    assert (reply.status, reply.json["errors"][0]["field"]) == (400, field)
    assert _rows(ada) == 0


@pytest.mark.rule("R-V3")
def test_line_ends_are_folded_before_counting_and_markup_is_removed(ada: Person) -> None:
    caption = "a\r\nb" * 700 + " <script>alert(1)</script>I <3 you &amp; #Sun"
    reply = _create(ada, _photo(), caption=caption, tags='["Sea", "sun"]')

    assert reply.status == 202
    assert reply.json["post"]["caption"] == "a\nb" * 700 + " I <3 you &amp; #Sun"
    assert reply.json["post"]["tags"] == ["sea", "sun"]


def test_filters_that_are_no_json_or_too_many_mean_none(ada: Person) -> None:
    for filters, expected in (("moon", "none"), ('["moon", "lark"]', "moon"), ("[]", "none")):
        reply = _create(ada, _photo(), filters=filters)
        assert reply.json["post"]["media"][0]["filterApplied"] == expected


def test_a_body_that_is_no_form_is_400_and_no_session_401(ada: Person) -> None:
    assert call(create_post, session_id=ada.session_id, body={"caption": "x"}).status == 400
    assert call(create_post, form=([_photo()], {})).status == 401
    broken = call(
        create_post,
        session_id=ada.session_id,
        body="--x\r\nnonsense",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert broken.status == 400


@pytest.mark.rule("R-L1")
def test_the_eleventh_post_of_an_hour_is_refused(ada: Person) -> None:
    statuses = [_create(ada).status for _ in range(11)]  # R-L5: whatever their outcome

    assert statuses == [400] * 10 + [429]


def test_a_post_is_read_and_deleted_by_its_owner(ada: Person, grace: Person) -> None:
    post_id = _create(ada, _photo()).json["post_id"]

    assert call(get_post, session_id=ada.session_id, path={"post_id": post_id}).json["post"]["id"] == post_id
    assert call(get_post, path={"post_id": post_id}).status == 404
    assert call(delete_post, session_id=grace.session_id, path={"post_id": post_id}).status == 404
    assert call(delete_post, session_id=ada.session_id, path={"post_id": post_id}).status == 200
    assert call(get_post, session_id=ada.session_id, path={"post_id": post_id}).status == 404


@pytest.mark.rule("R-V1")
@pytest.mark.parametrize("post_id", ["1", "not-an-id", "0" * 36, "%27"])
def test_a_malformed_post_id_is_400(ada: Person, post_id: str) -> None:
    for module in (get_post, delete_post):
        reply = call(module, session_id=ada.session_id, path={"post_id": post_id})
        assert (reply.status, reply.json["errors"][0]["field"]) == (400, "post_id")
