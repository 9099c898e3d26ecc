"""What of a report was not expected, and the table of all of them."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.suite import Check, Report

EXPECTED: Final = Path(__file__).resolve().parent / "expected.toml"
STATUS: Final = {"failure": "FAILURE", "warning": "WARNING"}


@dataclass(frozen=True)
class Expectation:
    """A check that does not pass, or any of a scenario if no check is named."""

    run: str
    status: str
    scenario: str
    check: str | None
    reason: str

    def covers(self, run: str, check: Check) -> bool:
        return (
            self.run == run
            and self.status == check.status
            and self.scenario == check.scenario
            and self.check in (None, check.id)
        )


def expectations(text: str | None = None) -> list[Expectation]:
    """What expected.toml says."""
    table = tomllib.loads(EXPECTED.read_text("utf-8") if text is None else text)
    return [
        Expectation(entry["run"], status, scenario, check, entry["reason"])
        for kind, status in STATUS.items()
        for entry in table.get(kind, [])
        for scenario in entry["scenarios"]
        for check in entry.get("checks", [None])
    ]


def judge(report: Report, expected: Sequence[Expectation]) -> Iterator[str]:
    """One line for everything in a report that is not as expected; none if all is well."""
    mine = [entry for entry in expected if entry.run == report.run.name]
    if not report.checks:
        yield "the suite checked nothing"
    for check in report.checks:
        if check.status not in STATUS.values():
            continue
        if check.status == "FAILURE" and check.scenario not in report.unscored:
            yield f"{check.scenario}: {check.id} failed: {check.message}"
        elif not any(entry.covers(report.run.name, check) for entry in mine):
            yield f"{check.scenario}: {check.id}, {check.status.lower()}: {check.message}"
    for entry in mine:
        if not any(entry.covers(report.run.name, check) for check in report.checks):
            what = entry.check or "every check"
            yield f"{entry.scenario}: {what} passes by now; take it out of {EXPECTED.name}"
    if report.code:
        yield f"the suite ended with exit code {report.code}"


def table(reports: Sequence[Report]) -> str:
    """A Markdown table: a row for what counts and one for what does not, of each run."""
    rows = ["| suite | protocol | scenarios | passed | failed | warnings | skipped |"]
    rows.append("|---|---|---|---|---|---|---|")
    for report in reports:
        for scored in (True, False):
            if scored or report.unscored:
                rows.append(_row(report, scored=scored))
    return "\n".join(rows)


def _row(report: Report, *, scored: bool) -> str:
    names = {check.scenario for check in report.checks}
    chosen = {name for name in names if (name in report.unscored) != scored}
    kinds = ("SUCCESS", "FAILURE", "WARNING", "SKIPPED")
    passed, *others = (report.count(kind, scored=scored) for kind in kinds)
    all_ = passed + others[0] + others[1]
    what = f"{len(chosen)} scored" if scored else f"{len(chosen)} not scored"
    cells = [
        report.run.release,
        report.run.revision,
        what,
        f"{passed} of {all_}",
        *map(str, others),
    ]
    return f"| {' | '.join(cells)} |"
