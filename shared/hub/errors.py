"""Why a download failed, from the hub or elsewhere, and what to do: one clause each."""

from __future__ import annotations

import errno
from collections.abc import Iterator

_BROKEN = (
    "ReadError", "WriteError", "RemoteProtocolError",  # of httpx
    "ChunkedEncodingError", "ProtocolError",  # of requests and urllib3
)  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: BaseException) -> tuple[str, str]:
    """Return (reason, remedy) of a failed download, whatever library raised it.

    The libraries wrap what happened: the answer of the server, or the failure of the disk, is
    looked for in the causes of `error`.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, OSError) and link.errno in _FULL:
            where = f" {link.filename}" if link.filename else ""
            return f"cannot write{where}: {link.strerror}", "free some space and run it again"
    for link in chain:
        answer = getattr(link, "response", None)
        if (status := getattr(answer, "status_code", 0)) >= 400:
            of_hub = type(link).__module__.startswith("huggingface_hub")
            return _answered(status, dict(getattr(answer, "headers", {})), of_hub)
    kinds = {type(link).__name__: link for link in reversed(chain)}
    if "DatasetNotFoundError" in kinds:  # datasets drops the answer of the hub
        return _answered(401, {}, of_hub=True)
    if any("OfflineModeIsEnabled" in f"{name}: {link}" for name, link in kinds.items()):
        return "it is not in the cache and HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"
    for name, link in kinds.items():
        if name.endswith(("Timeout", "TimeoutError")):
            slow = f"the server is too slow: {_line(link)}"
            return slow, "run it again later, or allow more with HF_HUB_DOWNLOAD_TIMEOUT=<seconds>"
    for name in _BROKEN:
        if name in kinds:
            broken = f"the connection broke: {_line(kinds[name])}"
            return broken, "run it again, what arrived whole is kept"
    if "HashVerificationError" in kinds:  # of ir_datasets, which also stores the page of an error
        reason = f"what arrived is not the file expected: {_line(kinds['HashVerificationError'])}"
        return reason, "run it again later"
    return f"{type(error).__name__}: {_line(error)}", "connect to the network"


def _answered(status: int, headers: dict[str, str], of_hub: bool) -> tuple[str, str]:
    told = {key.lower(): value for key, value in headers.items()}
    code = told.get("x-error-code", "")
    if code == "RevisionNotFound":
        return f"{status}: this revision is gone from the hub", "name one that is there"
    if code == "EntryNotFound":
        return f"{status}: a file is gone from the hub", "name a revision that has it"
    if of_hub and (status in (401, 403) or code in ("RepoNotFound", "GatedRepo")):
        reason = f"{status}: no such repository, or one that not everybody may read"
        return reason, "check the name, or accept its terms and log in with `hf auth login`"
    if status == 429:
        wait = told.get("retry-after", "")
        pause = f"{wait} seconds" if wait.isdigit() and int(wait) else "some minutes"
        return "429: too many requests", f"wait {pause} and run it again"
    if status >= 500:
        return f"{status}: the server itself fails", "run it again later"
    return f"{status}: the server refuses", "check the name and the address"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop(0)
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            pending += [link.__cause__, link.__context__]


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:150]
