"""A run's report in Markdown."""

from collections import Counter
from datetime import UTC, datetime

from tests.history.run import Report

_OUTCOMES = ("acknowledged", "refused", "unknown")


def markdown(report: Report) -> str:
    """The report; every number is of this run."""
    ledger = report.ledger
    made: Counter[str] = Counter()
    for (kind, _), count in report.faults.items():
        made[kind] += count
    kinds = {kind: sorted(each for each in report.faults if each[0] == kind) for kind in made}
    lines = [
        "# Report of the history checker",
        "",
        "Written by `make soak` ([tests/history](../tests/history/__main__.py)); the numbers are those of one run.",
        "",
        "| what | number |",
        "| --- | --- |",
        f"| date | {datetime.now(UTC):%Y-%m-%d} |",
        f"| seed | {report.seed} |",
        f"| faults | {report.faults.total()} |",
        f"| actions | {ledger.actions} |",
        f"| accounts | {len(ledger.accounts)} |",
        f"| looks of spies | {ledger.looks} |",
        f"| losses and other violations | {len(ledger.violations)} |",
        *(f"| seconds: {name} | {spent:.0f} |" for name, spent in report.seconds.items()),
        "",
        "## Faults",
        "",
        "| kind | number | parts and tables |",
        "| --- | --- | --- |",
        *(
            f"| {kind} | {made[kind]} | {', '.join(f'{part} {report.faults[kind, part]}' for kind, part in parts)} |"
            for kind, parts in sorted(kinds.items())
        ),
        "",
        "## Actions",
        "",
        "An action is unknown if no attempt had an answer other than 5xx: it may or may not have happened.",
        "",
        "| action | acknowledged | refused | unknown |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {' | '.join(str(ledger.outcomes[name, outcome]) for outcome in _OUTCOMES)} |"
            for name in sorted({name for name, _ in ledger.outcomes})
        ),
        "",
        "## Answers",
        "",
        "| status | requests |",
        "| --- | --- |",
        *(f"| {status} | {count} |" for status, count in sorted(ledger.statuses.items())),
        "",
        "## Violations",
        "",
        *(ledger.violations or ["None."]),
    ]
    return "\n".join(lines) + "\n"
