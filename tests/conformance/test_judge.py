"""What of the suite's results is not as expected, and how they are read."""

import json
from pathlib import Path

import pytest

from tests.conformance.judge import expectations, judge, table
from tests.conformance.packages import pinned
from tests.conformance.suite import RUNS, Check, Report, Run, read_checks, read_unscored

PAGE = Path(__file__).parent.parent.parent / "docs" / "conformance.md"
RUN = Run("9", "2026-07-28", "suite")
GOOD = Check("ping", "ping", "SUCCESS")
UNSCORED = {"tasks": "extension"}


def report(*checks: Check, code: int = 0) -> Report:
    return Report(RUN, checks, UNSCORED, code, "")


def expected(kind: str, scenario: str, check: str | None = None, run: str = RUN.name) -> str:
    checks = f'checks = ["{check}"]' if check else ""
    return f'[[{kind}]]\nrun = "{run}"\nscenarios = ["{scenario}"]\n{checks}\nreason = "so"\n'


def found(said: str, *checks: Check, code: int = 0) -> list[str]:
    return list(judge(report(*checks, code=code), expectations(said)))


def test_what_passes_is_as_expected() -> None:
    skipped, info = Check("ping", "b", "SKIPPED"), Check("ping", "c", "INFO")
    assert found("", GOOD, skipped, info) == []


def test_no_checks_at_all_are_no_success() -> None:
    assert found("") == ["the suite checked nothing"]


def test_the_suites_own_verdict_counts() -> None:
    assert found("", GOOD, code=1) == ["the suite ended with exit code 1"]


@pytest.mark.parametrize("status", ["FAILURE", "WARNING"])
def test_what_nobody_expected_is_named(status: str) -> None:
    (line,) = found("", GOOD, Check("tasks", "get", status, "no such method"))
    assert line.startswith("tasks: get, ") and line.endswith(": no such method")


def test_an_expected_failure_is_fine() -> None:
    failure = Check("tasks", "get", "FAILURE")
    assert found(expected("failure", "tasks", "get"), GOOD, failure) == []
    assert found(expected("failure", "tasks"), GOOD, failure) == []


def test_an_expectation_is_of_one_run_one_check_one_status() -> None:
    failure = Check("tasks", "get", "FAILURE")
    assert len(found(expected("failure", "tasks", "get", run="8 2026-07-28"), failure)) == 1
    assert len(found(expected("failure", "tasks", "list"), failure)) == 2
    assert len(found(expected("warning", "tasks", "get"), failure)) == 2


def test_what_passes_by_now_must_not_be_expected_to_fail() -> None:
    (line,) = found(expected("failure", "tasks", "get"), Check("tasks", "get", "SUCCESS"))
    assert "passes by now" in line


def test_a_failure_that_counts_cannot_be_expected() -> None:
    lines = found(expected("failure", "ping"), Check("ping", "ping", "FAILURE", "no pong"))
    assert lines == ["ping: ping failed: no pong"]


def test_a_should_that_is_not_met_can() -> None:
    assert found(expected("warning", "ping"), Check("ping", "data", "WARNING")) == []


def test_the_table_tells_what_counts_from_what_does_not() -> None:
    checks = [GOOD, Check("ping", "b", "WARNING"), Check("tasks", "a", "FAILURE")]
    rows = table([report(*checks, Check("tasks", "b", "SKIPPED"))]).splitlines()[2:]
    assert rows == [
        "| 9 | 2026-07-28 | 1 scored | 1 of 2 | 0 | 1 | 0 |",
        "| 9 | 2026-07-28 | 1 not scored | 0 of 1 | 1 | 0 | 1 |",
    ]


def test_every_expectation_is_of_a_run_and_has_a_reason() -> None:
    for entry in expectations():
        assert entry.run in {run.name for run in RUNS}
        assert entry.reason.endswith(".")


def test_the_page_lists_what_does_not_pass_with_its_reason() -> None:
    text = PAGE.read_text("utf-8")
    for entry in expectations():
        row = next(line for line in text.splitlines() if f"`{entry.scenario}`" in line)
        assert entry.reason in row
        assert entry.check is None or f"`{entry.check}`" in row


def test_the_page_names_the_versions_that_are_installed() -> None:
    text = PAGE.read_text("utf-8")
    for name, version in pinned().items():
        assert version.rpartition("@")[2] in text, name
    for run in RUNS:
        assert f"| {run.release} | {run.revision} | " in text


def test_checks_are_read_from_the_files_the_suite_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "server-tools-call-2026-11-24T03-56-05-104Z"
    folder.mkdir()
    passed = {"id": "a", "status": "SUCCESS", "details": {}}
    failed = {"id": "b", "status": "FAILURE", "errorMessage": "no"}
    (folder / "checks.json").write_text(json.dumps([passed, failed]))
    assert read_checks(tmp_path) == (
        Check("tools-call", "a", "SUCCESS"),
        Check("tools-call", "b", "FAILURE", "no"),
    )


def test_what_is_not_scored_is_read_from_the_suites_last_words() -> None:
    output = """
=== SUMMARY ===
✓ ping: 2 passed, 0 failed
  ✓ not-one (of them)

Not scored for 2026-07-28: 2 scenario(s) run, 1 failing. These do not affect conformance.
  ✗ tasks-lifecycle (extension)
  ✓ http-header-validation (added-after-release)
"""
    assert read_unscored(output) == {
        "tasks-lifecycle": "extension",
        "http-header-validation": "added-after-release",
    }
    assert read_unscored("Total: 40 passed, 0 failed") == {}
