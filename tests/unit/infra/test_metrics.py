"""Metrics of requests, which are served under two names."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from infra.local.metrics import second_names


def test_the_second_names_have_the_same_counts_under_other_labels() -> None:
    registry = CollectorRegistry()
    labels = ["method", "route", "status_code"]
    requests = Counter("instagram_http_requests", "Requests", labels, registry=registry)
    seconds = Histogram("instagram_http_request_duration_seconds", "Seconds", labels, registry=registry, buckets=(1, 2))
    for status, took in (("200", 0.5), ("200", 1.5), ("404", 0.25)):
        requests.labels("GET", "/posts/{post_id}", status).inc()
        seconds.labels("GET", "/posts/{post_id}", status).observe(took)

    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in second_names(registry.collect())
        for sample in metric.samples
    }

    of_path = ("method", "GET"), ("path", "/posts/{post_id}")
    name = "http_request_duration_seconds"
    assert found == {
        ("http_requests_total", *of_path, ("status", "200")): 2,
        ("http_requests_total", *of_path, ("status", "404")): 1,
        (f"{name}_bucket", ("le", "1.0"), *of_path): 2,
        (f"{name}_bucket", ("le", "2.0"), *of_path): 3,
        (f"{name}_bucket", ("le", "+Inf"), *of_path): 3,
        (f"{name}_count", *of_path): 3,
        (f"{name}_sum", *of_path): 2.25,
    }
