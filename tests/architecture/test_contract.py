"""docs/contract says what the code declares: routes, parameters, objects, limits, statuses."""

import functools
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from prometheus_client import Counter, Gauge, Histogram

from infra import template_map
from infra.local import metrics as exposition
from infra.openapi.document import Call
from layers.core import limits, metrics, models
from layers.core.limits import Limit
from layers.core.models import Admin
from layers.entrypoints.declarations import declared_fields
from layers.entrypoints.response import WRAPPERS
from layers.services import live_events
from tests.rules import known_rules

CONTRACT: Final = Path(__file__).parents[2] / "docs" / "contract"
NOT_ROUTES: Final = {"GET /metrics", "GET /live", "GET /media/{signature}/{expiry}/{path}"}
"""Described in the contract and not an `Api` event of the template: the hosts and the load balancer serve them."""
GENERAL: Final = {400, 401, 403, 413, 429, 500, 503}
"""Statuses that any endpoint may answer, as the contract's first page says."""

NEVER: Final = {"U12": {404}}
"""Statuses that the description of the API derives from the path, and that the handler does not answer."""

_SECTION: Final = re.compile(r"^## (?P<id>[A-Z]+\d+) `(?P<method>[A-Z]+) (?P<path>\S+)`$", re.MULTILINE)
_ALIAS: Final = re.compile(r"^Alias: (?:[A-Z]+\d+ )?`(?P<method>[A-Z]+) (?P<path>\S+)`$", re.MULTILINE)
_ITEM: Final = re.compile(r"^- (?P<key>[A-Z][\w-]*): (?P<text>.*(?:\n  .*)*)", re.MULTILINE)
_STATUS: Final = re.compile(r"(?:^|[;:] )(\d{3})\b")
_CODE: Final = re.compile(r"`([^`]+)`")
_ROW: Final = re.compile(r"^\|(.+)\|$", re.MULTILINE)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One section of the contract's pages."""

    id: str
    route: str
    aliases: tuple[str, ...]
    items: Mapping[str, str]
    text: str

    @property
    def words(self) -> set[str]:
        """Everything that stands in backquotes among its parameters."""
        return {word for key in ("Query", "Body", "Form") for word in _CODE.findall(self.items.get(key, ""))}


def _sections(page: str) -> Iterator[tuple[re.Match[str], str]]:
    found = list(_SECTION.finditer(page))
    ends = [each.start() for each in re.finditer(r"^## |\Z", page, re.MULTILINE)]
    for each in found:
        yield each, page[each.end() : next(end for end in ends if end > each.end())]


def _endpoints() -> Iterator[Endpoint]:
    for page in sorted(CONTRACT.glob("*.md")):
        for heading, text in _sections(page.read_text()):
            yield Endpoint(
                id=heading["id"],
                route=f"{heading['method']} {heading['path']}",
                aliases=tuple(f"{each['method']} {each['path']}" for each in _ALIAS.finditer(text)),
                items={each["key"]: each["text"] for each in _ITEM.finditer(text)},
                text=text,
            )


ENDPOINTS: Final = tuple(_endpoints())
BY_ROUTE: Final = {endpoint.route: endpoint for endpoint in ENDPOINTS}
CALLS: Final = [
    pytest.param(call, id=f"{call.route.method} {call.route.path}")
    for call in map(Call.of, template_map.routes())
    if not call.route.is_alias
]

each_call = pytest.mark.parametrize("call", CALLS)


def _described(call: Call) -> Endpoint:
    route = f"{call.route.method} {call.route.path}"
    assert route in BY_ROUTE, f"docs/contract does not describe {route}"
    return BY_ROUTE[route]


def test_every_route_is_described_once_and_nothing_else_is() -> None:
    described = [route for endpoint in ENDPOINTS for route in (endpoint.route, *endpoint.aliases)]
    served = {f"{route.method} {route.path}" for route in template_map.routes()}

    assert len(described) == len(set(described))
    assert set(described) == served | NOT_ROUTES


def test_no_endpoint_id_is_used_twice() -> None:
    ids = [endpoint.id for endpoint in ENDPOINTS]
    assert len(ids) == len(set(ids))


@each_call
def test_aliases_are_those_of_the_template(call: Call) -> None:
    same = [route for route in template_map.routes() if route.function == call.route.function and route.is_alias]
    assert set(_described(call).aliases) == {f"{route.method} {route.path}" for route in same}


@each_call
def test_the_caller_is_the_one_that_the_signature_names(call: Call) -> None:
    signature = call.signature
    expected = "anybody" if signature.viewer_optional else "admins" if signature.viewer is Admin else "signed in"

    assert _described(call).items["Caller"].startswith(expected)


@each_call
def test_the_limit_is_the_one_that_the_decorator_names(call: Call) -> None:
    limit, admits = call.signature.limit, call.signature.admits
    expected = None if admits and limit is None else f"`{limit.action}`" if limit else "none"

    assert _described(call).items.get("Limit") == expected


@each_call
def test_idempotency_keys_are_taken_where_the_handler_takes_a_new_id(call: Call) -> None:
    assert ("Idempotency-Key" in _described(call).items) == (call.signature.new_id is not None)


@each_call
def test_every_parameter_is_described(call: Call) -> None:
    signature, endpoint = call.signature, _described(call)
    structs = [each for each in (signature.query, signature.form, signature.body and signature.body[1]) if each]
    names = {name for struct in structs for name in _sent_names(struct)}

    assert names <= endpoint.words, f"not described: {names - endpoint.words}"
    assert ("Query" in endpoint.items) == (signature.query is not None)
    assert ("Body" in endpoint.items) == (signature.body is not None)
    assert ("Form" in endpoint.items) == (signature.form is not None)


def _sent_names(struct: type[msgspec.Struct]) -> Iterator[str]:
    """The names under which the fields of a request are sent: those of a form's files, and of nested objects too."""
    declared = {field.encoded_name: field for field in declared_fields(struct)}
    for name in struct.__struct_encode_fields__:
        field = declared.get(name)
        yield from field.files.names if field and field.files else [name]
        if field and field.struct:
            yield from _sent_names(field.struct)


@each_call
def test_the_default_of_limit_is_the_querys(call: Call) -> None:
    query = call.signature.query
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(query)} if query else {}
    if "limit" in defaults:
        assert f"`limit` ({defaults['limit']})" in _described(call).items["Query"]


@each_call
def test_the_status_of_success_is_the_handlers(call: Call) -> None:
    described = {int(status) for status in re.findall(r"\*\*(\d{3})\*\*", _described(call).items["Answer"])}
    assert described == set(_statuses(call.signature.answer))


def _statuses(answer: object) -> Iterator[int]:
    """Of a return annotation: 200, or what the wrappings around it say."""
    if typing.get_origin(answer) is typing.Union or type(answer).__name__ == "UnionType":
        for each in typing.get_args(answer):
            yield from _statuses(each)
        return
    status = 200
    while (kind := typing.get_origin(answer)) in WRAPPERS:
        wrapping = WRAPPERS[typing.cast("type", kind)]
        status = wrapping.value if wrapping else status
        answer = typing.get_args(answer)[0]
    yield status


@each_call
def test_no_refusal_is_described_that_the_endpoint_does_not_have(call: Call) -> None:
    described = {int(status) for status in _STATUS.findall(_described(call).items.get("Refused", ""))}
    declared = {status.value for status in call.refusals} | {503}
    assert described <= declared


@each_call
def test_every_refusal_that_is_particular_is_described(call: Call) -> None:
    described = {int(status) for status in _STATUS.findall(_described(call).items.get("Refused", ""))}
    declared = {status.value for status in call.refusals} - GENERAL - NEVER.get(_described(call).id, set())
    assert declared <= described, f"not described: {declared - described}"


def _tables(text: str) -> list[list[str]]:
    """The cells of every row of a text's tables, with the headings and without the lines below them."""
    rows = [[cell.strip() for cell in each.split("|")] for each in _ROW.findall(text)]
    return [row for row in rows if not set("".join(row)) <= set("-")]


_OBJECT: Final = re.compile(r"^## (\w+)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
OBJECTS: Final = dict(_OBJECT.findall((CONTRACT / "objects.md").read_text()))


@pytest.mark.parametrize("name", [name for name in OBJECTS if name[0].isupper() and hasattr(models, name)])
def test_an_objects_members_are_those_of_its_struct(name: str) -> None:
    described = [word for row in _tables(OBJECTS[name])[1:] for word in _CODE.findall(row[0])]
    assert described == [field.encode_name for field in msgspec.structs.fields(getattr(models, name))]


def test_every_object_of_the_page_is_a_struct_and_every_public_struct_of_an_answer_is_on_the_page() -> None:
    named = {word for endpoint in ENDPOINTS for word in re.findall(r"\b[A-Z][A-Za-z]+\b", endpoint.items["Answer"])}
    structs = {name for name in named if isinstance(getattr(models, name, None), type)}

    assert {name for name in OBJECTS if not hasattr(models, name)} == set()
    assert structs <= set(OBJECTS)


def test_filter_names_are_those_of_the_model() -> None:
    section = (CONTRACT / "objects.md").read_text().partition("## Filter names")[2]
    assert tuple(_CODE.findall(section)) == models.FILTERS


def test_events_are_those_of_the_service() -> None:
    text = (CONTRACT / "live.md").read_text().partition("## Events")[2].partition("## L1")[0]
    described = {row[0].strip("`"): set(re.findall(r"`([a-z]\w+)`(?!\s*or)", row[1])) for row in _tables(text)[1:]}
    common = {"id", "at"}
    kinds: list[Any] = list(typing.get_args(live_events.AnyEvent))

    assert set(described) == {kind.__struct_config__.tag for kind in kinds}
    for kind in kinds:
        names = {field.encode_name for field in msgspec.structs.fields(kind)} - common
        assert names == described[kind.__struct_config__.tag] - {"published", "failed"}


def test_metrics_are_those_that_the_code_counts() -> None:
    text = (CONTRACT / "health.md").read_text().partition("## H5")[2].partition("## OA1")[0]
    described = {
        name: set(_CODE.findall(re.sub(r": [^;]*", "", labels.partition(";")[0])))
        for names, labels in _tables(text)[1:]
        for name in _CODE.findall(names)
    }
    counted = {
        f"{next(iter(metric.describe())).name}{'_total' if isinstance(metric, Counter) else ''}": set(
            metric._labelnames
        )
        for metric in vars(metrics).values()
        if isinstance(metric, Counter | Gauge | Histogram)
    }
    computed = Path(exposition.__file__).read_text()

    assert {name: described.get(name) for name in counted} == counted
    others = [name for name in described if name not in counted]
    as_written = {name: (f'"{name}"', f'CounterMetricFamily("{name.removesuffix("_total")}"') for name in others}
    assert [name for name in others if not any(text in computed for text in as_written[name])] == []


def test_the_table_of_limits_is_the_code() -> None:
    text = (CONTRACT / "README.md").read_text().partition("## Rate limits")[2]
    units = {"min": 60, "h": 3600}
    described = {}
    for action, _, requests, window, _ in (row for row in _tables(text) if len(row) == 5 and row[0].startswith("`")):
        number, unit = window.split()
        described[action.strip("`")] = (int(requests), int(number) * units[unit])
    declared = [limit for limit in vars(limits).values() if isinstance(limit, Limit)]

    assert described == {limit.action: (limit.requests, limit.seconds) for limit in declared}


@functools.cache
def _contract() -> str:
    return "\n".join(page.read_text() for page in CONTRACT.glob("*.md") if page.name != "coverage.md")


@pytest.mark.parametrize(
    ("figure", "phrase"),
    [
        (limits.FILE_BYTES, "({} bytes) each"),
        (limits.JSON_BYTES // 1024, "at most {} KiB"),
        (limits.TEXT_PART_BYTES // 1024, "text part has at most {} KiB"),
        (limits.POST_FILES, "1 to {} files"),
        (limits.CAPTION_LENGTH, "`caption`: at most {} characters"),
        (limits.LOCATION_LENGTH, "`location`: at most {} characters"),
        (limits.TAGS, "at most {} names"),
        (limits.TAG_LENGTH, "1 to {} letters"),
        (limits.DISPLAY_NAME_LENGTH, "`displayName`: at most {} characters"),
        (limits.BIO_LENGTH, "`bio`: at most {} characters"),
        (limits.COMMENT_LENGTH, "`content` required: 1 to {} characters"),
        (limits.MESSAGE_LENGTH, "`content`: at most {} characters"),
        (limits.MESSAGE_URL_LENGTH, "URL of at most {} characters"),
        (limits.MESSAGE_PREVIEW_LENGTH, "the first {} characters"),
        (limits.GROUP_MIN_MEMBERS, "{} to 32 members"),
        (limits.GROUP_MAX_MEMBERS, "3 to {} members"),
        (limits.GROUP_NAME_LENGTH, "1 to {} characters"),
        (limits.UNREAD_MAX, "exact up to {}"),
        (limits.TYPING_SECONDS, "for the next {} s"),
        (limits.LIVE_CONNECTIONS, "at most {} connections"),
        (limits.EMAIL_LENGTH, "at most {} characters, kept in lower case"),
        (limits.PASSWORD_LENGTH[1], "6 to {} characters"),
        (limits.PAGE_ROWS, "1 to {}; above"),
        (limits.SESSION_SECONDS // 3600, "{} h from the last use"),
        (limits.STORY_SECONDS // 3600, "exists for {} h"),
        (limits.STORY_GRACE_SECONDS // 3600, "expired more than {} h ago"),
        (limits.UPLOAD_SECONDS // 60, "type, for {} min"),
        (limits.UPLOAD_USABLE_SECONDS // 60, "of an upload for {} min"),
        (limits.UPLOAD_LIFETIME_SECONDS // 60, "removed after {} min"),
        (limits.UNUSED_UPLOADS, "more than {} uploads"),
        (limits.JPEG_PIXELS // 1_000_000, "over {} megapixels"),
        (limits.PIXELS // 1_000_000, "or {} megapixels"),
    ],
)
def test_figures_are_those_of_the_code(figure: int, phrase: str) -> None:
    number = f"{figure:,}".replace(",", " ") if figure >= 10_000 else str(figure)
    assert phrase.format(number) in re.sub(r"\s+", " ", _contract())


def test_every_rule_that_a_page_cites_exists() -> None:
    known = set(known_rules())
    cited = set(re.findall(r"\bR-[A-Z]+\d+\b", _contract()))
    assert cited <= known, f"no such rule: {sorted(cited - known)}"
