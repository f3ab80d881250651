"""How the loopback hub answers one request."""

from __future__ import annotations

import json
import re
import socket
import struct
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.hub.faults import Fault
from tests.hub.repository import Blob, Repository

if TYPE_CHECKING:
    from tests.hub.server import LoopbackHub

_API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/(revision|tree|paths-info)/(.+))?")
_RESOLVE = re.compile(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_PLAIN = re.compile(r"/api/resolve-cache/(models|datasets)/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)")
_CDN = re.compile(r"/lfs/(models|datasets)/([^/]+/[^/]+)/([0-9a-f]{40})/([0-9a-f]{64})/(.+)")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Request:
    """One request; `status` is 0 where the connection ended without an answer."""

    method: str
    path: str  # with the query, as sent
    status: int
    range: str
    user_agent: str
    authorization: str


class Handler(BaseHTTPRequestHandler):
    """Answers of the hub and, on its other port, of its content network."""

    protocol_version = "HTTP/1.1"
    wbufsize = _CHUNK

    @property
    def hub(self) -> LoopbackHub:
        return self.server.hub  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are kept in `LoopbackHub.requests`, not printed."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        form = parse_qs(self.rfile.read(length).decode()) if length else {}
        self._fault = self.hub.faults.take(f"{self.command} {self.path}")
        if self._fault and self._fault.delay and self.hub.stopped.wait(self._fault.delay):
            self.close_connection = True
            return
        if self._fault and self._fault.status:
            fault = self._fault
            self._refuse(fault.status, fault.code, fault.message, dict(fault.headers))
            return
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        for pattern, answer in (
            (_PLAIN, self._plain),
            (_CDN, self._content),
            (_API, self._api),
            (_RESOLVE, self._resolve),
        ):
            if match := pattern.fullmatch(path):
                answer(match, query, form)
                return
        self._refuse(404, "", "Sorry, we can't find the page you are looking for.")

    def _repository(self, kind: str, name: str) -> Repository | None:
        found = self.hub.repositories.get((kind, name))
        if found is None and self.headers.get("Authorization"):
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif found is None:  # the hub does not tell strangers what is absent from what is private
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        return found

    def _commit(self, repository: Repository, revision: str) -> str | None:
        commit = repository.resolve(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _api(self, match: re.Match[str], query: dict, form: dict) -> None:
        kind, name, what, rest = match.groups()
        repository = self._repository(kind, name)
        if repository is None:
            return
        revision, _, below = (rest or "main").partition("/")
        commit = self._commit(repository, revision)
        if commit is None:
            return
        if what == "tree":
            recursive = query.get("recursive", [""])[0].lower() in ("true", "1")
            self._tree(repository, commit, below, recursive, query)
        elif what == "paths-info":
            self._json(repository.paths(commit, form.get("paths", [])))
        else:
            self._json(repository.info(commit))

    def _tree(
        self, repository: Repository, commit: str, below: str, recursive: bool, query: dict
    ) -> None:
        entries = repository.tree(commit, below, recursive)
        if entries is None:
            self._refuse(404, "EntryNotFound", f"{below} does not exist on {commit}")
            return
        start = int(query.get("cursor", ["0"])[0])
        end = start + self.hub.page
        headers = {}
        if end < len(entries):
            parts = urlsplit(self.path)
            more = urlencode({key: values[0] for key, values in query.items()} | {"cursor": end})
            headers["Link"] = f'<{self.hub.url}{parts.path}?{more}>; rel="next"'
        self._json(entries[start:end], headers)

    def _resolve(self, match: re.Match[str], query: dict, form: dict) -> None:
        kind, name, revision, path = match.groups()
        repository = self._repository(kind or "models", name)
        commit = self._commit(repository, revision) if repository else None
        if repository is None or commit is None:
            return
        blob = repository.commits[commit].get(path)
        if blob is None:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
            return
        place = f"{repository.kind}/{name}/{commit}"
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(blob.size),
            "X-Linked-ETag": f'"{blob.etag}"',
            "Accept-Ranges": "bytes",
        }
        if blob.sha256:
            target = f"{self.hub.cdn_url}/lfs/{place}/{blob.sha256}/{quote(path)}"
            self._send(302, headers | {"Location": target}, b"")
        else:  # a path of the same host
            target = f"/api/resolve-cache/{place}/{quote(path)}"
            self._send(307, headers | {"Location": target}, b"")

    def _plain(self, match: re.Match[str], query: dict, form: dict) -> None:
        kind, name, commit, path = match.groups()
        repository = self.hub.repositories[kind, name]
        self._file(repository.commits[commit][path], {"X-Repo-Commit": commit})

    def _content(self, match: re.Match[str], query: dict, form: dict) -> None:
        kind, name, commit, _, path = match.groups()
        self._file(self.hub.repositories[kind, name].commits[commit][path], {})

    def _file(self, blob: Blob, headers: dict[str, str]) -> None:
        headers |= {"ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        start, end, status = 0, blob.size, 200
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked and any(asked.groups()):
            first, last = asked.groups()
            start = int(first) if first else max(blob.size - int(last), 0)
            end = min(int(last) + 1, blob.size) if first and last else blob.size
            if start >= end:
                headers["Content-Range"] = f"bytes */{blob.size}"
                self._send(416, headers, b"")
                return
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
            status = 206
        with blob.stored.open("rb") as handle:
            handle.seek(start)
            body = handle.read(end - start)
        if self._fault and self._fault.corrupt is not None and self._fault.corrupt >= start:
            bad = self._fault.corrupt - start
            body = body[:bad] + bytes(byte ^ 1 for byte in body[bad : bad + 1]) + body[bad + 1 :]
        self._send(status, headers, body)

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self._send(200, {"Content-Type": "application/json"} | (headers or {}), body)

    def _refuse(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        told = {"X-Error-Code": code, "X-Error-Message": message}
        headers = {key: value for key, value in told.items() if value} | (headers or {})
        body = json.dumps({"error": message}).encode()
        self._send(status, {"Content-Type": "application/json"} | headers, body)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self._fault is None:
            self.wfile.write(body)
        else:
            self._write_badly(body, self._fault)

    def _write_badly(self, body: bytes, fault: Fault) -> None:
        sent = body if fault.cut is None else body[: fault.cut]
        step = max(int(fault.rate / 10), 1) if fault.rate else _CHUNK
        for start in range(0, len(sent), step):
            self.wfile.write(sent[start : start + step])
            self.wfile.flush()
            if fault.rate and self.hub.stopped.wait(step / fault.rate):
                break
        if fault.cut is not None:
            self.close_connection = True
            if fault.reset:  # no orderly end: the client reads "connection reset by peer"
                self.wfile.flush()
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()

    def _note(self, status: int) -> None:
        get = self.headers.get
        self.hub.requests.append(
            Request(
                self.command,
                self.path,
                status,
                get("Range", ""),
                get("User-Agent", ""),
                get("Authorization", ""),
            )
        )
