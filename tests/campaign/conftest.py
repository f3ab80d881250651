"""The counts of the campaign at the end of a session."""

from __future__ import annotations

import pytest

from tests.campaign import COUNTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not COUNTS:
        return
    terminalreporter.section("campaign: damaged inputs by reader")
    read, refused = (sum(getattr(r, name) for r in COUNTS.values()) for name in ("read", "refused"))
    faults = sum(sum(result.counted.values()) for result in COUNTS.values())
    for name, result in COUNTS.items():
        wrong = sum(result.counted.values())
        line = f"{name:<30} {result.read:>6} read {result.refused:>6} refused {wrong:>5} faults"
        terminalreporter.write_line(line)
    known = f"{read} read and confirmed, {refused} refused in one line, {faults} faults"
    terminalreporter.write_line(f"{read + refused + faults} inputs: {known}")
