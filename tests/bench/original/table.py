"""The table of goals: what the load measured on both sides, ratios, and whether each goal is met."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from tests.bench.original.phases import Measured
from tests.bench.original.wrk import Figures

type Rounds = Sequence[Measured]
type Part = Literal["rate", "p50", "p95", "amount"]

_COLUMNS: Final = "{:<44} {:>12} {:>12} {:>8}  {:<16} {}"
_UNITS: Final[Mapping[Part, str]] = {"rate": "/s", "p50": "ms", "p95": "ms", "amount": ""}


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a figure of ours, or of its ratio to another figure; without bounds it is only shown."""

    figure: str
    part: Part = "rate"
    at_least: float | None = None
    at_most: float | None = None
    of_reference: bool = True
    """Whether the bounds are of the ratio to the reference's figure."""
    of_idle: str = ""
    """The figure of ours to which the bounds are a ratio."""

    @property
    def bounds(self) -> str:
        """The bounds in words, empty without any."""
        if self.at_least is None and self.at_most is None:
            return ""
        bound = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        if self.of_idle:
            return f"{bound} × idle"
        return bound if self.of_reference else f"{bound} (ours)"

    def is_met_by(self, measured: float) -> bool:
        """Whether a figure or ratio is within the bounds."""
        is_low_enough = self.at_most is None or measured <= self.at_most
        return is_low_enough and (self.at_least is None or measured >= self.at_least)


def _ratios(at_least: float, *figures: str) -> list[Goal]:
    return [Goal(figure=figure, at_least=at_least) for figure in figures]


def _beside(what: str) -> list[Goal]:
    name, idle = f"feed beside {what}", "feed beside nothing"
    return [
        Goal(figure=name, part="p50", at_most=1.5, of_idle=idle, of_reference=False),
        Goal(figure=name, part="p95", at_most=4, of_idle=idle, of_reference=False),
    ]


GOALS: Final = (
    *_ratios(1.5, "feed warm c32"),
    Goal(figure="feed warm c8"),
    Goal(figure="feed warm c1", part="p50", at_most=1),
    *_ratios(10, "feed cold c32"),
    *_ratios(1.2, "post c8", "profile c8", "explore c8", "comments c8"),
    Goal(figure="like and unlike c1"),
    *_ratios(1.2, "like and unlike c8", "like and unlike c32", "like c32"),
    Goal(figure="like and unlike one post c32"),
    *_ratios(1.2, "comment c8", "follow and unfollow c8"),
    Goal(figure="messages c1"),
    *_ratios(1.2, "messages c8", "messages c32"),
    Goal(figure="inbox c1"),
    *_ratios(1.2, "inbox c8", "inbox c32", "send c1", "send c8", "send c32"),
    *_ratios(1, "conversation opened"),
    *_ratios(4, "photos of 12 MP, burst"),
    *_ratios(2.5, "photos of 1 MP, burst"),
    Goal(figure="photo of 1 MP alone, published", part="p50", at_most=0.6),
    Goal(figure="login c1"),
    Goal(figure="login c4"),
    Goal(figure="login c16"),
    Goal(figure="feed beside nothing", part="p50"),
    Goal(figure="feed beside nothing", part="p95"),
    *_beside("logins"),
    *_beside("stories"),
    *_beside("posts"),
    Goal(figure="memory", part="amount", at_most=0.5),
    Goal(figure="memory", part="amount", at_most=1024, of_reference=False),
    Goal(figure="memory of cassandra", part="amount"),
    Goal(figure="feed page", part="amount", at_most=20, of_reference=False),
    Goal(figure="feed page, gzip", part="amount", at_most=5, of_reference=False),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table."""

    work: str
    unit: str
    reference: float | None
    ours: float | None
    ratio: float | None
    goal: str
    outcome: str
    """`met`, `missed`, or empty without a goal or a figure."""


def compare(reference: Rounds, ours: Rounds) -> list[Row]:
    """A line for each goal with a figure; figures are medians of the rounds."""
    sides = median_round(reference), median_round(ours)
    rows = [_row(goal, *sides) for goal in GOALS]
    return [row for row in rows if row.reference is not None or row.ours is not None]


def median_round(rounds: Rounds) -> Measured:
    """For each part of each figure its median; errors are added up."""
    return {
        name: _median([measured[name] for measured in rounds if name in measured])
        for name in dict.fromkeys(name for measured in rounds for name in measured)
    }


def count_errors(rounds: Rounds) -> dict[str, int]:
    """The figures during which requests were refused or failed, and how many."""
    return {name: figures.errors for name, figures in median_round(rounds).items() if figures.errors}


def show(rows: Sequence[Row]) -> None:
    """Print the table, then the memory of each program."""
    print(f"\n{_COLUMNS.format('work', 'reference', 'ours', 'ratio', 'goal', 'outcome')}")
    for row in rows:
        unit = f" ({row.unit})" if row.unit else ""
        print(
            _COLUMNS.format(
                *(row.work + unit, _number(row.reference), _number(row.ours), _number(row.ratio), row.goal, row.outcome)
            )
        )
    outcomes = [row.outcome for row in rows]
    print(f"goals: {outcomes.count('met')} met, {outcomes.count('missed')} missed")


def show_memory(name: str, rounds: Rounds) -> None:
    """Print the megabytes of each program of a side."""
    prefix = "memory of "
    used = {key.removeprefix(prefix): figures.amount for key, figures in median_round(rounds).items() if prefix in key}
    if used:
        parts = [f"{program} {used[program]:.0f}" for program in sorted(used, key=used.__getitem__, reverse=True)]
        print(f"memory of {name}, MB: {', '.join(parts)}")


def _row(goal: Goal, reference: Measured, ours: Measured) -> Row:
    theirs, mine = _value(reference, goal.figure, goal.part), _value(ours, goal.figure, goal.part)
    ratio = _ratio(mine, _value(ours, goal.of_idle, goal.part) if goal.of_idle else theirs)
    judged = ratio if goal.of_reference or goal.of_idle else mine
    outcome = ""
    if goal.bounds and judged is not None:
        outcome = "met" if goal.is_met_by(judged) else "missed"
    return Row(
        work=goal.figure if goal.part == "rate" else f"{goal.figure} {goal.part}".removesuffix(" amount"),
        unit=_unit(goal),
        reference=theirs,
        ours=mine,
        ratio=ratio,
        goal=goal.bounds,
        outcome=outcome,
    )


def _unit(goal: Goal) -> str:
    if goal.part != "amount":
        return _UNITS[goal.part]
    return "MB" if goal.figure.startswith("memory") else "kB"


def _value(measured: Measured, figure: str, part: Part) -> float | None:
    return float(getattr(measured[figure], part)) if figure in measured else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(
        requests=sum(each.requests for each in figures),
        errors=sum(each.errors for each in figures),
        **{
            part: statistics.median(getattr(each, part) for each in figures)
            for part in ("rate", "p50", "p95", "p99", "amount")
        },
        cores=figures[-1].cores,
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
