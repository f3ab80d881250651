"""The loopback hub itself, asked without the client libraries."""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path

import pytest

from tests.hub import LoopbackHub
from tests.hub.samples import REVISION

Answer = tuple[int, dict[str, str], bytes]


def ask(
    url: str, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> Answer:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    result = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return result


@pytest.fixture
def served(hub: LoopbackHub, tmp_path: Path) -> LoopbackHub:
    files = {"a.txt": b"hello world\n", "b/c.txt": b"", "w.safetensors": bytes(range(100))}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    hub.add_model("org/server", REVISION, tmp_path)
    return hub


def test_listing(served: LoopbackHub) -> None:
    tree = f"/api/models/org/server/tree/{REVISION}"
    status, headers, body = ask(served.url, f"{tree}?recursive=true")
    assert status == 200
    first = json.loads(body)
    # `git hash-object` of the same bytes
    assert first[0] == {
        "type": "file",
        "path": "a.txt",
        "size": 12,
        "oid": "3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
    }
    more = headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    _, headers, body = ask(served.url, more.removeprefix(served.url))
    paths = [entry["path"] for entry in first + json.loads(body)]
    assert paths == ["a.txt", "b", "b/c.txt", "w.safetensors"]
    assert "link" not in headers
    assert json.loads(body)[1]["lfs"]["oid"] == hashlib.sha256(bytes(range(100))).hexdigest()
    _, _, body = ask(served.url, f"{tree}/b?recursive=false")
    assert [entry["path"] for entry in json.loads(body)] == ["b/c.txt"]
    url = f"/api/models/org/server/paths-info/{REVISION}"
    _, _, body = ask(served.url, url, "POST", "paths=b&paths=a.txt&paths=no")
    assert {entry["path"]: entry["type"] for entry in json.loads(body)} == {
        "a.txt": "file",
        "b": "directory",
    }
    assert json.loads(ask(served.url, "/api/models/org/server/revision/main")[2])["sha"] == REVISION


def test_files(served: LoopbackHub) -> None:
    status, headers, _ = ask(served.url, f"/org/server/resolve/{REVISION}/a.txt", "HEAD")
    assert (status, headers["x-repo-commit"]) == (307, REVISION)
    status, headers, body = ask(served.url, headers["location"])
    assert (status, body) == (200, b"hello world\n")
    assert headers["etag"] == '"3b18e512dba79e4c8300dd08aeb37f8e728b8dad"'
    status, headers, _ = ask(served.url, f"/org/server/resolve/{REVISION}/w.safetensors", "HEAD")
    assert (status, headers["x-linked-size"]) == (302, "100")
    assert headers["x-linked-etag"] == f'"{hashlib.sha256(bytes(range(100))).hexdigest()}"'
    assert headers["location"].startswith(served.cdn_url)
    place = headers["location"].removeprefix(served.cdn_url)
    for asked, expected in (
        ("bytes=90-", bytes(range(90, 100))),
        ("bytes=3-4", bytes([3, 4])),
        ("bytes=-2", bytes([98, 99])),
    ):
        assert ask(served.cdn_url, place, Range=asked)[::2] == (206, expected)
    status, headers, _ = ask(served.cdn_url, place, Range="bytes=100-")
    assert (status, headers["content-range"]) == (416, "bytes */100")


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/api/models/org/absent", {}, 401, "RepoNotFound"),
        ("/api/models/org/absent", {"Authorization": "Bearer hf_x"}, 404, "RepoNotFound"),
        ("/api/datasets/org/server", {}, 401, "RepoNotFound"),
        (f"/api/models/org/server/tree/{REVISION[::-1]}", {}, 404, "RevisionNotFound"),
        (f"/api/models/org/server/tree/{REVISION}/no", {}, 404, "EntryNotFound"),
        (f"/org/server/resolve/{REVISION}/no.txt", {}, 404, "EntryNotFound"),
        ("/elsewhere", {}, 404, None),
    ],
)
def test_refusals(
    served: LoopbackHub, path: str, headers: dict[str, str], status: int, code: str | None
) -> None:
    found = ask(served.url, path, **headers)
    assert (found[0], found[1].get("x-error-code")) == (status, code)


def test_a_stopped_hub_refuses_old_and_new_connections(tmp_path: Path) -> None:
    with LoopbackHub(tmp_path / "hub") as hub:
        kept = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=5)
        kept.request("GET", "/")
        assert kept.getresponse().read()
        hub.stop()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            kept.request("GET", "/")
            kept.getresponse()
        with pytest.raises(ConnectionError):
            ask(hub.url, "/")
