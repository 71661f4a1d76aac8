"""POST /posts/uploads, what may be sent to its URLs through nginx, and the cleanup of unused uploads."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from functions.posts import create_uploads, delete_unused_uploads
from infra.stack.profiles import profile
from layers.core import limits, metrics
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id, time_of
from layers.core.settings import settings
from layers.media import connection
from tests import pictures
from tests.support import services
from tests.support.calls import call
from tests.support.direct_uploads import ask, ask_one, create, grow_older, has_row, is_stored, put, send
from tests.support.people import Person
from tests.support.proxies import Proxies, Proxy
from tests.support.together import together

PHOTO = pictures.jpeg(64, 48)


def _problem(reply: httpx.Response, status: int) -> None:
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["error"]


def _ask_raw(person: Person, body: object) -> int:
    return call(create_uploads, session_id=person.session_id, body=body).status


def test_the_answer_has_one_upload_per_file_in_order_valid_15_minutes(ada: Person) -> None:
    before = datetime.now(UTC)
    reply = ask(ada, (1, "image/jpeg"), (limits.FILE_BYTES, "image/heic"), (5, "image/png"), (6, "image/webp"))
    uploads = reply.json["uploads"]

    assert reply.status == 201
    assert [upload["headers"]["Content-Type"] for upload in uploads] == [
        *("image/jpeg", "image/heic", "image/png", "image/webp")
    ]
    assert len({upload["id"] for upload in uploads}) == 4
    for upload in uploads:
        assert set(upload) == {"id", "method", "url", "headers", "expiresAt"}
        assert upload["method"] == "PUT"
        assert str(UUID(upload["id"])) == upload["id"]
        assert upload["url"].startswith(
            f"{settings().uploads_url}/{settings().s3_bucket}/uploads/{upload['id']}?X-Amz-"
        )
        ends = datetime.fromisoformat(upload["expiresAt"])
        assert timedelta(minutes=14, seconds=58) < ends - before <= timedelta(minutes=15)


def test_the_url_leads_to_nginx_and_not_to_the_store(ada: Person) -> None:
    url = httpx.URL(ask_one(ada, 5)["url"])

    assert (url.scheme, url.host, url.port) == ("http", "localhost", profile("test").ports.nginx)


def test_a_file_of_that_size_and_type_is_accepted_without_a_notification(ada: Person) -> None:
    upload = ask_one(ada, len(PHOTO))
    reply = put(upload, PHOTO)

    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.startswith("x-amz-")]
    assert connection.get(f"uploads/{upload['id']}") == PHOTO
    assert put(upload, PHOTO).status_code == 200  # sent again after a lost answer


@pytest.mark.rule("R-M1")
def test_exactly_ten_mebibytes_are_accepted_and_one_byte_more_is_refused_by_nginx(ada: Person) -> None:
    exact = pictures.padded(PHOTO, limits.FILE_BYTES)
    upload = ask_one(ada, len(exact))

    _problem(put(upload, exact + b"\0"), 413)
    assert put(upload, exact).status_code == 200


@pytest.mark.rule("R-L8")
def test_at_most_a_hundred_files_of_one_account_wait_for_their_posts(ada: Person) -> None:
    ten = [(len(PHOTO), "image/jpeg")] * 10
    refused_before = metrics.RATE_LIMIT_HITS.labels("uploads")._value.get()
    replies = together(lambda _: ask(ada, *ten), range(12))
    refused = [reply for reply in replies if reply.status == 429]

    assert sorted(reply.status for reply in replies) == [201] * 10 + [429] * 2
    assert 3590 < int(refused[0].headers["retry-after"]) <= limits.UPLOAD_LIFETIME_SECONDS
    assert metrics.RATE_LIMIT_HITS.labels("uploads")._value.get() == refused_before + 2
    used = next(reply for reply in replies if reply.status == 201).json["uploads"][0]
    assert put(used, PHOTO).status_code == 200
    assert create(ada, used["id"]).status == 202
    assert [ask(ada, ten[0]).status, ask(ada, ten[0]).status] == [201, 429]


@pytest.mark.parametrize("length", [0, 1, len(PHOTO) - 1, len(PHOTO) + 1])
def test_another_size_is_refused_by_the_store(ada: Person, length: int) -> None:
    upload = ask_one(ada, len(PHOTO))

    _problem(put(upload, PHOTO.ljust(length, b"\0")[:length]), 403)
    assert not is_stored(upload["id"])


@pytest.mark.parametrize("media_type", ["image/png", "text/html", "image/jpeg; charset=utf-8"])
def test_another_type_is_refused_by_the_store(ada: Person, media_type: str) -> None:
    upload = ask_one(ada, len(PHOTO))

    _problem(put(upload, PHOTO, Content_Type=media_type), 403)
    assert not is_stored(upload["id"])


def test_no_type_is_refused_too(ada: Person) -> None:
    upload = ask_one(ada, len(PHOTO))

    assert put({**upload, "headers": {}}, PHOTO).status_code in (400, 403)
    assert not is_stored(upload["id"])


def test_a_body_in_chunks_is_measured_all_the_same(ada: Person) -> None:
    upload = ask_one(ada, len(PHOTO))
    chunks = [PHOTO[:100], PHOTO[100:]]

    assert httpx.put(upload["url"], content=iter([*chunks, b"more"]), headers=upload["headers"]).status_code == 403
    assert httpx.put(upload["url"], content=iter(chunks), headers=upload["headers"]).status_code == 200


def _altered(url: str) -> dict[str, str]:
    base, _, query = url.partition("?")
    parameters = dict(pair.split("=", 1) for pair in query.split("&"))
    other = f"{base.rpartition('/')[0]}/{uuid4()}"
    signature = parameters["X-Amz-Signature"]
    return {
        "no signature": base,
        "another file's": f"{other}?{query}",
        "altered signature": url.replace(signature, signature[::-1]),
        "longer expiry": url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000"),
        "part of an upload": f"{url}&partNumber=1&uploadId=1",
        "another's policy": f"{url}&acl=",
        "another folder": url.replace("/uploads/", "/processed/"),
        "a way out": url.replace("/uploads/", "/uploads/../processed/"),
        "an escaped way out": url.replace("/uploads/", "/uploads/%2e%2e/processed/"),
    }


@pytest.mark.parametrize("how", sorted(_altered("x/y?X-Amz-Signature=1")))
def test_an_altered_url_is_refused(ada: Person, how: str) -> None:
    upload = ask_one(ada, len(PHOTO))
    reply = put({**upload, "url": _altered(upload["url"])[how]}, PHOTO)

    assert reply.status_code in (403, 405)
    assert reply.json()["error"]
    assert not is_stored(upload["id"])


def test_a_url_works_until_its_expiry(ada: Person) -> None:
    upload_id = uuid4()
    url = connection.presign_put(f"uploads/{upload_id}", size=len(PHOTO), media_type="image/jpeg", seconds=1)
    upload = {"method": "PUT", "url": url, "headers": {"Content-Type": "image/jpeg"}}
    statuses = []
    deadline = datetime.now(UTC) + timedelta(seconds=4)
    while datetime.now(UTC) < deadline and 403 not in statuses:
        statuses.append(put(upload, PHOTO).status_code)

    assert statuses[-1] == 403
    assert set(statuses[:-1]) <= {200}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_only_put_is_accepted(ada: Person, method: str) -> None:
    [upload_id] = send(ada, PHOTO)
    folder = f"{settings().uploads_url}/{settings().s3_bucket}/uploads/"

    for url in (f"{folder}{upload_id}", folder, f"{folder}?list-type=2"):
        assert httpx.request(method, url).status_code == 405


def test_an_upload_is_never_served(ada: Person) -> None:
    upload_id = UUID(send(ada, PHOTO)[0])
    seen = httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/uploads/{upload_id}")

    assert seen.status_code == 403


def test_a_header_that_is_not_signed_cannot_make_the_store_copy_anothers_original(ada: Person, grace: Person) -> None:
    secret = f"originals/{time_of(new_id()):%Y/%m/%d}/not-told-{uuid4()}.jpg"
    connection.put_all([connection.StoredFile(f"unnotified/{secret}", b"grace's own", "image/jpeg")])
    upload = ask_one(ada, len(PHOTO))
    source = f"/{settings().s3_bucket}/unnotified/{secret}"
    put(upload, PHOTO, x_amz_copy_source=source, x_amz_acl="public-read", x_amz_meta_trace_id="x")

    assert connection.get(f"uploads/{upload['id']}") in (None, PHOTO)
    connection.remove([f"unnotified/{secret}"])


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ([], 400),
        ([{"size": 1, "type": "image/jpeg"}] * 11, 400),
        (None, 400),
        ("x", 400),
        ([1], 400),
        ([{"size": 0, "type": "image/jpeg"}], 400),
        ([{"size": -1, "type": "image/jpeg"}], 400),
        ([{"size": 1.5, "type": "image/jpeg"}], 400),
        ([{"size": "many", "type": "image/jpeg"}], 400),
        ([{"size": 1}], 400),
        ([{"type": "image/jpeg"}], 400),
        ([{"size": 1, "type": 5}], 400),
        ([{"size": limits.FILE_BYTES + 1, "type": "image/jpeg"}], 413),
        ([{"size": 10**12, "type": "image/jpeg"}], 413),
        ([{"size": 1, "type": "image/gif"}], 415),
        ([{"size": 1, "type": "IMAGE/JPEG"}], 415),
        ([{"size": 1, "type": "video/mp4"}], 415),
        ([{"size": 1, "type": ""}], 415),
    ],
)
def test_an_invalid_upload_is_refused(ada: Person, files: Any, status: int) -> None:
    assert _ask_raw(ada, {"files": files}) == status


def test_a_refusal_names_the_file(ada: Person) -> None:
    reply = ask(ada, (1, "image/jpeg"), (limits.FILE_BYTES + 1, "image/png"))
    assert (reply.status, reply.json["errors"][0]["field"]) == (413, "files[1].size")
    reply = ask(ada, (1, "image/jpeg"), (1, "image/gif"))
    assert (reply.status, reply.json["errors"][0]["field"]) == (415, "files[1].type")


def test_no_session_is_401() -> None:
    assert call(create_uploads, body={"files": [{"size": 1, "type": "image/jpeg"}]}).status == 401


@pytest.mark.rule("R-L6")
def test_only_the_general_limit_counts_it(ada: Person) -> None:
    headers = [ask(ada, (1, "image/jpeg")).headers for _ in range(12)]

    assert {each["ratelimit-policy"] for each in headers} == {headers[0]["ratelimit-policy"]}
    assert headers[0]["ratelimit-policy"].endswith(";w=60")


def test_without_the_object_store_urls_are_given_out_as_usual(ada: Person, store_proxy: Proxy) -> None:
    """Signing asks nothing of it (14.7: everything else as usual)."""
    store_proxy.close()
    upload = ask_one(ada, len(PHOTO))
    store_proxy.open()

    assert put(upload, PHOTO).status_code == 200


def test_a_put_is_503_while_the_store_is_down_and_passes_once_it_is_back(ada: Person) -> None:
    upload = ask_one(ada, len(PHOTO))
    with services.stop("minio"):
        refused = put(upload, PHOTO)

    _problem(refused, 503)
    assert refused.headers["retry-after"]
    assert put(upload, PHOTO).status_code == 200


def test_without_the_database_it_is_503(ada: Person, proxies: Proxies) -> None:
    assert ask(ada, (1, "image/jpeg")).status == 201
    proxies.database.close()
    reply = ask(ada, (1, "image/jpeg"))

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1


def test_unused_uploads_are_removed_an_hour_after_they_were_asked_for(ada: Person) -> None:
    sent, young = send(ada, PHOTO, PHOTO)
    never_sent = ask_one(ada, 5)["id"]
    grow_older(sent, never_sent, seconds=limits.UPLOAD_LIFETIME_SECONDS + 1)
    grow_older(young, seconds=limits.UPLOAD_LIFETIME_SECONDS - 60)
    delete_unused_uploads.handler({"id": "x"}, None)

    assert [has_row(each) for each in (sent, never_sent, young)] == [False, False, True]
    assert [is_stored(each) for each in (sent, young)] == [False, True]


def test_what_is_sent_again_after_its_post_was_made_is_removed_too(ada: Person) -> None:
    upload = ask_one(ada, len(PHOTO))
    put(upload, PHOTO)
    assert create(ada, upload["id"]).status == 202
    assert not is_stored(upload["id"])
    assert put(upload, PHOTO).status_code == 200
    grow_older(upload["id"], seconds=limits.UPLOAD_LIFETIME_SECONDS + 1)
    delete_unused_uploads.handler({"id": "x"}, None)

    assert (is_stored(upload["id"]), has_row(upload["id"])) == (False, False)


def test_without_the_object_store_the_rows_stay_for_the_next_hour(ada: Person, store_proxy: Proxy) -> None:
    [upload_id] = send(ada, PHOTO)
    grow_older(upload_id, seconds=limits.UPLOAD_LIFETIME_SECONDS + 1)
    store_proxy.close()
    with pytest.raises(StoreUnavailable):
        delete_unused_uploads.handler({"id": "x"}, None)
    assert has_row(upload_id)
    store_proxy.open()
    delete_unused_uploads.handler({"id": "x"}, None)

    assert (has_row(upload_id), is_stored(upload_id)) == (False, False)
