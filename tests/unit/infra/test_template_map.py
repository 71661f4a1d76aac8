"""How template.yaml is read."""

from infra import template_map


def test_a_function_has_the_defaults_of_globals() -> None:
    found = template_map.function("posts/like_post")

    assert (found.logical_id, found.handler) == ("LikePost", "functions.posts.like_post.handler")
    assert found.layers[0] == "core"
    assert (found.timeout_seconds, found.memory_mb, found.is_heavy) == (29, 512, False)


def test_heavy_routes_are_those_that_hash_passwords_or_receive_files() -> None:
    assert sorted((route.method, route.path) for route in template_map.heavy_routes()) == [
        ("POST", "/api/v1/auth/login"),
        ("POST", "/api/v1/auth/register"),
        ("POST", "/api/v1/posts"),
        ("POST", "/api/v1/stories"),
        ("PUT", "/api/v1/users/me"),
    ]


def test_queues_have_batch_size_and_window() -> None:
    found = {queue.name: queue for queue in template_map.queues()}

    assert found["photo-uploaded"].function.name == "images/resize_photo"
    assert found["photo-uploaded"].batch_size == 1
    assert found["photo-uploaded"].window_seconds == 0.5
    assert found["post-published"].window_seconds == 0
    assert found["photo-uploaded"].function.environments == 2
    assert found["post-published"].function.environments == 1


def test_an_alias_belongs_to_the_function_of_its_canonical_route() -> None:
    found = {route.path: route for route in template_map.routes()}
    alias, canonical = found["/api/v1/stories/feed"], found["/api/v1/stories/tray"]

    assert alias.is_alias
    assert not canonical.is_alias
    assert alias.function is canonical.function
