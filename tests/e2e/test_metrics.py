"""GET /metrics of an API instance, after a day on which everything happened once."""

import os
import re

import httpx

from tests.pictures import jpeg
from tests.support.http import Caller
from tests.support.waiting import until

NAMES = """
instagram_http_requests_total{method,route,status_code}
instagram_http_request_duration_seconds_count{method,route,status_code}
instagram_posts_created_total{} instagram_posts_deleted_total{}
instagram_stories_created_total{} instagram_story_views_total{}
instagram_likes_total{action} instagram_likes_duplicate_total{}
instagram_follows_total{action} instagram_follows_rate_limited_total{}
instagram_feed_generation_seconds_count{cache_status}
instagram_feed_cache_hits_total{} instagram_feed_cache_misses_total{}
instagram_image_processing_seconds_count{size} instagram_image_processing_errors_total{error_type}
instagram_auth_attempts_total{result,type} instagram_active_sessions{}
instagram_rate_limit_hits_total{action}
instagram_circuit_breaker_state{name} instagram_circuit_breaker_events_total{event,name}
instagram_db_query_duration_seconds_count{operation} instagram_db_connection_pool_size{state}
http_requests_total{method,path,status} http_request_duration_seconds_count{method,path}
image_processing_duration_seconds_count{} image_processing_errors_total{error_type}
active_sessions{} feed_cache_hit_ratio{} queue_depth{queue_name} storage_bytes_total{bucket}
""".split()  # noqa: SIM905 (read as a list of words)
"""Both lists of the original, with their labels in alphabetical order."""

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? [0-9.e+-]+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def _exposed() -> str:
    first_api = int(os.environ["OWN_ORIGINS"].split(",")[0].rpartition(":")[2]) + 1
    answer = httpx.get(f"http://localhost:{first_api}/metrics", timeout=30)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    return answer.text


def _names() -> set[str]:
    found = set()
    for name, labels in _SAMPLE.findall(_exposed()):
        shown = sorted(label for label, _ in _LABEL.findall(labels))
        found.add(f"{name}{{{','.join(shown)}}}")
    return found


def _happen() -> None:
    """One of everything that is counted."""
    ada, grace = Caller("ada"), Caller("grace")
    ada.follow(grace)
    for _ in range(31):
        ada.http.post(f"/users/{grace.id}/follow")
    ada.http.delete(f"/users/{grace.id}/follow")
    post_id = grace.upload(jpeg(60, 40))["post_id"]
    until(lambda: grace.published(post_id), seconds=50, every=0.5)
    for _ in range(2):
        ada.http.post(f"/posts/{post_id}/like")
        grace.feed()
    story = grace.http.post("/stories", files={"media": ("s.jpg", jpeg(60, 40))}).json()["story"]
    ada.http.post(f"/stories/{story['id']}/view")
    damaged = grace.http.post("/stories", files={"media": ("s.jpg", jpeg(400, 300)[:2000])})
    assert damaged.status_code == 422
    grace.http.delete(f"/posts/{post_id}")


def test_every_metric_of_the_original_is_served_under_its_name_and_labels() -> None:
    _happen()

    until(lambda: set(NAMES) <= _names(), seconds=30, every=1)  # a store's size is left out where it takes too long


def test_route_labels_are_templates_without_ids() -> None:
    _happen()
    labels = dict.fromkeys(value for _, given in _SAMPLE.findall(_exposed()) for _, value in _LABEL.findall(given))

    assert [value for value in labels if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", value)] == []
    assert "/api/v1/posts/{post_id}/like" in labels


def test_nginx_does_not_publish_metrics() -> None:
    assert httpx.get(f"{os.environ['OWN_ORIGINS'].split(',')[0]}/metrics").status_code == 404
