"""Requests to the object store: their signatures are those of boto3, and answers of any form are read."""

import re
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlsplit

import hypothesis
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from layers.core.settings import settings
from layers.media import connection, object_requests
from layers.media.object_requests import Answer, Credentials, Request, Requests, Store

_NAMES: Final = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
_SERVER_SECONDS: Final = 10
_VALUES: Final = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    method=st.sampled_from(["GET", "PUT"]),
    url=st.builds(
        "http://{}/bucket/{}".format,
        st.sampled_from(["127.0.0.1:9000", "s3.us-east-1.amazonaws.com"]),
        st.text("abcXYZ019-_.~/ +%é", min_size=1, max_size=30).map(quote),
    ),
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
    metadata=st.dictionaries(_NAMES.map("x-amz-meta-{}".format), _VALUES, max_size=3),
    body=st.binary(max_size=100),
    token=st.none() | _VALUES,
)
def test_a_signature_is_that_of_boto3(
    *, method: str, url: str, region: str, metadata: dict[str, str], body: bytes, token: str | None
) -> None:
    expected = AWSRequest(method=method, url=url, data=body, headers=dict(metadata))
    S3SigV4Auth(BotocoreCredentials("AKID", "secret/+", token), "s3", region).add_auth(expected)
    parts = urlsplit(url)
    store = Store(
        host=parts.netloc,
        name="",
        port=0,
        is_secure=False,
        region=region,
        credentials=Credentials("AKID", "secret/+", token),
    )
    signed = store.sign(method, parts.path, metadata, body, stamp=expected.headers["X-Amz-Date"])

    assert signed["authorization"] == expected.headers["Authorization"]


def test_the_time_of_a_signature_is_now() -> None:
    store = Store(host="h", name="", port=0, is_secure=False, region="r", credentials=Credentials("a", "b"))
    stamp = store.sign("GET", "/", {}, b"")["x-amz-date"]
    signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    assert abs((datetime.now(UTC) - signed_at).total_seconds()) < 5


def _receive(connection: socket.socket) -> bytes:
    """A whole request."""
    received = b""
    while data := connection.recv(65536):
        received += data
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and len(body) == int(length[1] if length else 0):
            break
    return received


@contextmanager
def _server(*answers: bytes) -> Iterator[list[bytes]]:
    """A store that answers each request with these bytes, and closes after an empty one; what it received."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_SERVER_SECONDS)

        def serve() -> None:
            left = deque(answers)
            while left:
                connection, _ = listener.accept()
                with connection:
                    while left:
                        received.append(_receive(connection))
                        answer = left.popleft()
                        connection.sendall(answer)
                        if not answer:
                            break

        server = threading.Thread(target=serve)
        server.start()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
            patched.setenv("S3_ACCESS_KEY_ID", "access")
            patched.setenv("S3_SECRET_ACCESS_KEY", "secret")
            settings.cache_clear()
            object_requests.close()
            yield received
        server.join(_SERVER_SECONDS)
    settings.cache_clear()
    object_requests.close()


def _exchange(*requests: Request) -> list[Answer]:
    with Requests() as sent:
        for request in requests:
            sent.send(request)
        return [answer for _, answer in sent.read_answers()]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes", Answer(200, b"bytes")),
        (b"HTTP/1.1 204\r\n\r\n", Answer(204, b"")),
        (
            b"HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
            Answer(503, b"abcde"),
        ),
    ],
)
def test_answers_are_read_whole(answer: bytes, expected: Answer) -> None:
    with _server(answer):
        assert _exchange(Request("GET", "key")) == [expected]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbyte", b"HTTP/1.1 200 OK\r\nContent", b"SSH-2.0-x\r\n\r\n"],
)
def test_an_answer_that_breaks_off_or_is_not_http_is_an_error_of_the_connection(answer: bytes) -> None:
    with _server(answer), pytest.raises(ConnectionError):
        _exchange(Request("GET", "key"))


def test_a_connection_is_used_again_unless_the_store_closes_it() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    closing = ok.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with _server(ok, ok, closing) as received:
        for number in range(3):
            _exchange(Request("PUT", f"key-{number}", b"content"))
            assert len(object_requests._idle) == (number < 2)

    assert [each.split()[1] for each in received] == [f"/{settings().s3_bucket}/key-{n}".encode() for n in range(3)]
    assert all(each.endswith(b"\r\n\r\ncontent") and b"content-length: 7\r\n" in each for each in received)


def test_an_error_has_the_code_and_message_of_the_store() -> None:
    body = b"<Error><Code>NoSuchKey</Code><Message>There is none</Message></Error>"
    error: Any = Answer(404, body).error(Request("GET", "key"))

    assert str(error) == "An error occurred (NoSuchKey) when calling the GetObject operation: There is none"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert Answer(500, b"").error(Request("PUT", "key")).response["Error"]["Code"] == "500"


_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def _answer(status: int) -> bytes:
    return b"HTTP/1.1 %d Reason\r\nContent-Length: 0\r\n\r\n" % status


@pytest.mark.parametrize("failure", [b"", *map(_answer, (500, 502, 503, 504))])
def test_a_put_that_a_store_in_trouble_refuses_is_tried_three_times(failure: bytes) -> None:
    with _server(failure, failure, _OK) as received:
        assert _exchange(Request("PUT", "key", b"content")) == [Answer(200, b"")]
    assert [each.endswith(b"content") for each in received] == [True] * 3

    with _server(_answer(503), _answer(503), _answer(503), _OK) as received:
        assert _exchange(Request("PUT", "key", b"content")) == [Answer(503, b"")]
        assert _exchange(Request("GET", "key")) == [Answer(200, b"")]
    assert len(received) == 4


@pytest.mark.parametrize(
    ("method", "status"), [("PUT", 400), ("PUT", 403), ("PUT", 429), ("PUT", 501), ("GET", 500), ("GET", 503)]
)
def test_an_answer_that_will_not_change_and_that_of_a_get_is_taken_at_once(
    method: Literal["GET", "PUT"], status: int
) -> None:
    with _server(_answer(status), _OK) as received:
        assert _exchange(Request(method, "key")) == [Answer(status, b"")]
        assert len(received) == 1
        _exchange(Request("GET", "key"))


_ERRORS: Final = st.builds(
    b"<Error><Code>%b</Code><Message>%b</Message></Error>".__mod__,
    st.tuples(st.binary(max_size=20), st.binary(max_size=20)),
)
_LENGTHS: Final = st.sampled_from([b"-1", b"abc", b"", b"5,5", b"9" * 12, b"9" * 30]) | st.integers(0, 200).map(
    lambda length: b"%d" % length
)
_ANSWERS: Final = st.one_of(
    st.binary(max_size=200),
    st.builds(
        b"HTTP/1.1 %d Reason\r\nContent-Length: %b\r\n\r\n%b".__mod__,
        st.tuples(st.integers(200, 999), _LENGTHS, _ERRORS | st.binary(max_size=200)),
    ),
    st.builds(
        b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n%b\r\n\r\n%b\r\n%b".__mod__,
        st.tuples(
            st.sampled_from([b"200 OK", b"503 Slow Down", b"20 x", b"\xb2\xb2\xb2"]),
            st.binary(max_size=40),
            st.sampled_from([b"5", b"0", b"-1", b"f" * 20, b"zz", b""]),
            _ERRORS | st.binary(max_size=100),
        ),
    ),
)


@hypothesis.settings(deadline=None, max_examples=60)
@given(_ANSWERS)
@example(b"HTTP/1.1 500 x\r\nContent-Length: 20\r\n\r\n<Code>\xff\xfe</Code>...")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nx")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\nx")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\nx")
def test_an_answer_of_any_bytes_is_read_or_is_an_error_of_the_connection(answer: bytes) -> None:
    request = Request("GET", "key")
    with _server(answer):
        try:
            [read] = _exchange(request)
        except OSError:
            return
    assert str(read.error(request)).startswith("An error occurred (")


@pytest.fixture
def in_a_role(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The settings have no credentials; the environment has those of the function's role, as in Lambda."""
    for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ROLEKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "role's secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "role's token")
    monkeypatch.setenv("S3_REGION", "eu-central-1")
    _forget()
    yield monkeypatch
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    settings.cache_clear()
    connection.close()
    connection._session.cache_clear()
    object_requests._role.cache_clear()


def test_without_credentials_requests_are_signed_by_the_functions_role(in_a_role: pytest.MonkeyPatch) -> None:
    in_a_role.delenv("S3_ENDPOINT_URL", raising=False)
    store = object_requests._store()
    signed = store.sign("GET", "/bucket/key", {}, b"", stamp="20261127T000000Z")

    assert (store.host, store.is_secure) == ("s3.eu-central-1.amazonaws.com", True)
    assert signed["x-amz-security-token"] == "role's token"
    assert "Credential=ROLEKEY/20261127/eu-central-1/s3/aws4_request" in signed["authorization"]
    assert "x-amz-security-token" in signed["authorization"]


def test_without_credentials_uploads_are_presigned_by_the_functions_role(in_a_role: pytest.MonkeyPatch) -> None:
    in_a_role.setenv("UPLOADS_URL", "https://s3.eu-central-1.amazonaws.com")
    url = urlsplit(connection.presign_put("uploads/key", size=5, media_type="image/jpeg", seconds=60))
    query = dict(parse_qsl(url.query))

    assert (url.netloc, url.path) == ("s3.eu-central-1.amazonaws.com", f"/{settings().s3_bucket}/uploads/key")
    assert query["X-Amz-Security-Token"] == "role's token"
    assert query["X-Amz-Credential"].startswith("ROLEKEY/")
    assert query["X-Amz-Credential"].endswith("/eu-central-1/s3/aws4_request")
