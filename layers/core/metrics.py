"""Metrics, listed in docs/contract/health.md. Functions count. Local hosts serve the numbers to Prometheus; on AWS they
go to CloudWatch through the log, if a namespace is set (docs/decisions/0052-embedded-metrics.md).

`prometheus_client` itself reads PROMETHEUS_MULTIPROC_DIR, the folder in which all local processes share their values.
"""

import os
from typing import TYPE_CHECKING, Final

from layers.core.settings import runs_in_lambda, settings, shares_metrics

if TYPE_CHECKING or not runs_in_lambda():
    import prometheus_client as kinds
    from prometheus_client import values
elif settings().metrics_namespace:
    from layers.core import embedded_metrics as kinds
else:  # nothing collects them there, and the import takes a tenth of a cold start
    from layers.core import uncounted as kinds


def _share_values() -> None:
    """Let prometheus_client ask for the process's id once and not at each count, of which a request has a dozen."""
    process_id = os.getpid()

    def update() -> None:
        nonlocal process_id
        process_id = os.getpid()

    os.register_at_fork(after_in_child=update)
    values.ValueClass = values.MultiProcessValue(lambda: process_id)  # type: ignore[no-untyped-call]


if shares_metrics() and not runs_in_lambda():
    _share_values()

_EMBEDS: Final = runs_in_lambda() and bool(settings().metrics_namespace)


def flush() -> None:
    """Write what was counted since the last call, where metrics are written to the log."""
    if _EMBEDS:
        from layers.core import embedded_metrics  # noqa: PLC0415 (only where they are used)

        embedded_metrics.flush()


Counter = kinds.Counter
Gauge = kinds.Gauge
Histogram = kinds.Histogram

HTTP_REQUESTS = Counter("instagram_http_requests", "Requests answered", ["method", "route", "status_code"])
HTTP_SECONDS = Histogram(
    "instagram_http_request_duration_seconds", "Seconds per request", ["method", "route", "status_code"]
)
POSTS_CREATED = Counter("instagram_posts_created", "Posts created")
POSTS_DELETED = Counter("instagram_posts_deleted", "Posts deleted")
STORIES_CREATED = Counter("instagram_stories_created", "Stories created")
STORY_VIEWS = Counter("instagram_story_views", "First views of stories")
LIKES = Counter("instagram_likes", "Likes added and removed", ["action"])
LIKES_DUPLICATE = Counter("instagram_likes_duplicate", "Likes that existed already")
FOLLOWS = Counter("instagram_follows", "Accounts followed and unfollowed", ["action"])
COMMENTS = Counter("instagram_comments", "Comments created and deleted", ["action"])
FOLLOWS_RATE_LIMITED = Counter("instagram_follows_rate_limited", "Follows refused by the limit")
FEED_SECONDS = Histogram("instagram_feed_generation_seconds", "Seconds per home feed", ["cache_status"])
FEED_HITS = Counter("instagram_feed_cache_hits", "Home feeds answered from Valkey alone")
FEED_MISSES = Counter("instagram_feed_cache_misses", "Home feeds that needed PostgreSQL")
IMAGE_SECONDS = Histogram("instagram_image_processing_seconds", "Seconds per picture", ["size"])
IMAGE_ERRORS = Counter("instagram_image_processing_errors", "Pictures that failed", ["error_type"])
PROCESSING_SECONDS = Histogram("image_processing_duration_seconds", "Seconds per picture")
PROCESSING_ERRORS = Counter("image_processing_errors", "Pictures that failed", ["error_type"])
AUTH_ATTEMPTS = Counter("instagram_auth_attempts", "Registrations, logins and logouts", ["type", "result"])
RATE_LIMIT_HITS = Counter("instagram_rate_limit_hits", "Requests refused by a limit", ["action"])
DB_SECONDS = Histogram("instagram_db_query_duration_seconds", "Seconds per statement", ["operation"])
BREAKER_STATE = Gauge(
    "instagram_circuit_breaker_state", "0 closed, 1 open, 2 half open", ["name"], multiprocess_mode="livemostrecent"
)
BREAKER_EVENTS = Counter("instagram_circuit_breaker_events", "Calls and changes of circuit breakers", ["name", "event"])
