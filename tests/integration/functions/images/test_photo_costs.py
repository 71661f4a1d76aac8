"""What a photo costs: requests to the object store, statements, round trips and messages, whatever its size."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from functions.posts import create_post
from layers.media import object_requests
from layers.media.object_requests import Request
from layers.rabbitmq import connection as broker
from layers.services import publication
from layers.services.publication import PostPicture
from tests import pictures
from tests.support.calls import Form, Upload, call
from tests.support.feed_posts import Trips, count_trips
from tests.support.people import Person
from tests.support.uploads import Begun, begin


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The requests to the object store from now on, by method, and the new connections."""
    counts: Counter[str] = Counter()

    class Counting(object_requests._Connection):
        def __init__(self, *arguments: Any) -> None:
            counts["connection"] += 1
            super().__init__(*arguments)

        def send(self, request: Request, ends_at: float) -> None:
            counts[request.method] += 1
            super().send(request, ends_at)

    object_requests.close()
    monkeypatch.setattr(object_requests, "_Connection", Counting)
    return counts


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The messages published from now on, by queue."""
    counts: Counter[str] = Counter()
    publish: Callable[..., bool] = broker.publish

    def counting(*, queue: str, **rest: Any) -> bool:
        counts[queue] += 1
        return publish(queue=queue, **rest)

    monkeypatch.setattr(broker, "publish", counting)
    return counts


def _process(post: Begun, order_index: int) -> Trips:
    """Process a picture as the queue's function does, and no other worker; the round trips."""
    picture = PostPicture(post_id=post.id, order_index=order_index, original_key=post.keys[order_index])
    with count_trips() as trips:
        assert publication.process_picture(picture)
    return trips


@pytest.mark.parametrize("side", [60, 1600])
def test_a_picture_is_one_get_and_eight_puts_on_open_connections_and_five_statements(
    ada: Person, requests: Counter[str], messages: Counter[str], side: int
) -> None:
    for _ in range(2):
        post = begin(ada, pictures.jpeg(side, side))
        requests.clear()
        messages.clear()
        trips = _process(post, 0)

    assert requests == {"GET": 1, "PUT": 8}
    assert (trips.statements, trips.valkey) == (5, 0)
    assert messages == {"post-published": 1}
    assert (post.status, post.notes) == ("published", 0)


def test_a_picture_that_is_not_the_last_one_costs_four_statements_and_no_message(
    ada: Person, requests: Counter[str], messages: Counter[str]
) -> None:
    post = begin(ada, pictures.jpeg(60, 60), None)
    requests.clear()
    trips = _process(post, 0)

    assert (requests["GET"], requests["PUT"]) == (1, 8)
    assert (trips.statements, trips.valkey) == (4, 0)
    assert messages == {}
    assert post.status == "processing"


@pytest.mark.parametrize("count", [1, 10])
def test_an_upload_is_one_put_per_file_and_three_statements(
    ada: Person, requests: Counter[str], messages: Counter[str], count: int
) -> None:
    form: Form = ([Upload(pictures.jpeg(60, 60))] * count, {})
    call(create_post, session_id=ada.session_id)  # from now on the session is in Valkey
    with count_trips() as trips:
        assert call(create_post, session_id=ada.session_id, form=form).status == 202

    assert (requests["GET"], requests["PUT"]) == (0, count)
    assert trips.statements == 3
    assert messages == {}
