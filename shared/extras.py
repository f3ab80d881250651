"""Which extra of this package brings a library that is absent: one line installs all it takes."""

from __future__ import annotations

import re

DISTRIBUTION = "ir-replications"
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)['\"]")


def remedy(module: str) -> str:
    """What to install for a module that cannot be imported, by this package's own metadata."""
    from importlib.metadata import PackageNotFoundError, requires  # slow, and seldom needed

    wanted = _normal(module.partition(".")[0])
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # run from a folder that nobody installed
        lines = []
    extras = []
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        extra = _EXTRA.search(line)
        if name and extra and _normal(name[0]) == wanted and extra[1] != "all":
            extras.append(extra[1])
    if len(extras) == 1:
        return f"pip install '{DISTRIBUTION}[{extras[0].replace('-', '_')}]'"
    if not extras:
        return f"pip install '{DISTRIBUTION}[all]'"
    listed = ", ".join(sorted(extra.replace("-", "_") for extra in extras))
    return f"pip install '{DISTRIBUTION}[all]' (or only the extra that you need: {listed})"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
