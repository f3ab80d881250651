"""A campaign of damaged inputs over every reader of the suite.

readers.py lists the readers: what a sound input is, how it is read, and how an independent reading
(independent.py) confirms what came out. mutate.py damages, campaign.py tries and counts.
"""

from __future__ import annotations

from typing import Any

COUNTS: dict[str, Any] = {}  # by reader: the Result of this session, for its last lines
