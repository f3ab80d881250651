"""Models through the real client library: one file, several, damaged, cut off."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ir_replications.shared.models.references import fetch_model, load_causal_lm
from tests.hub import LoopbackHub
from tests.hub.client import Client
from tests.hub.samples import REVISION, write_weights

CHUNK = 10 * 1024 * 1024  # what the client keeps of a download that breaks off is whole chunks


def test_models_of_one_and_of_several_files(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

    model, cache, refs = tiny_model(3), tmp_path / "cache", []
    for name, options in (("one", {}), ("several", {"max_shard_size": "8KB"})):
        folder = tmp_path / name
        model.save_pretrained(folder, **options)
        tiny_tokenizer().save_pretrained(folder)
        (folder / "pytorch_model.bin").write_bytes(b"a pickle that nobody asks for")
        hub.add_model(f"org/{name}", REVISION, folder)
        refs.append(f"hub:org/{name}@{REVISION}")
    done = client("models", "fetch", *refs, cache=cache)
    assert (done.status, done.err) == (0, "")
    sums = {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(tmp_path.glob("*/*.safetensors"))
    }
    shards = [path for path in sums if path.parent.name == "several"]
    assert len(shards) > 2
    lines = "".join(f"{sums[path]}  {path.name}\n" for path in shards)
    assert done.out.splitlines() == [
        f"{refs[0]}: sha256 {sums[tmp_path / 'one' / 'model.safetensors']}",
        f"{refs[1]}: sha256 {hashlib.sha256(lines.encode()).hexdigest()}",
    ]
    assert not [request for request in hub.requests if "pytorch_model.bin" in request.path]
    asked = len(hub.requests)
    assert client("models", "check", *refs, cache=cache).out.count(": ok") == 2
    for ref in refs:
        loaded, tokenizer = load_causal_lm(ref, cache_dir=cache)
        for name, weights in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], weights)
        assert tokenizer("w1 w2")["input_ids"] == tiny_tokenizer()("w1 w2")["input_ids"]
    assert len(hub.requests) == asked, "what is in the cache needs no hub"


def test_a_cut_download_goes_on_where_it_was(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    folder = write_weights(tmp_path / "large", size=2 * CHUNK + 5)
    hub.add_model("org/large", REVISION, folder)
    hub.fail("GET /lfs/models/org/large/", cut=2 * CHUNK + 3, times=1)
    done = client("models", "fetch", f"hub:org/large@{REVISION}", cache=tmp_path / "cache")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (done.status, done.out.split()[-1]) == (0, sha256)
    gets = [r.range for r in hub.requests if r.path.startswith("/lfs/models/org/large/")]
    assert gets == ["", f"bytes={2 * CHUNK}-"]
    (note,) = done.err.splitlines()
    assert note.startswith("note: Error while downloading")


def test_a_busy_hub_is_waited_for_and_a_silent_one_asked_again(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    """The client library would wait without an end for a listing."""
    hub.add_model("org/busy", REVISION, write_weights(tmp_path / "model"))
    hub.fail("GET /api/models/org/busy/tree", delay=60, times=1)
    hub.fail("GET /lfs/models/org/busy/", status=429, headers={"Retry-After": "1"}, times=1)
    done = client("models", "fetch", f"hub:org/busy@{REVISION}", cache=tmp_path / "cache")
    assert (done.status, done.out.split()[-1]) == (0, hashlib.sha256(bytes(30_000)).hexdigest())
    notes = done.err.splitlines()
    assert all(line.startswith("note: ") for line in notes)
    assert any("timed out" in line for line in notes)
    assert "note: Rate limited. Waiting 2.0s before retry [Retry 1/5]." in notes


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_cached_file_is_told_and_fetched_again(
    hub: LoopbackHub, client: Client, tmp_path: Path, name: str
) -> None:
    repository, cache = f"org/damaged-{name[:5]}", tmp_path / "cache"
    hub.add_model(repository, REVISION, write_weights(tmp_path / "model"))
    ref = f"hub:{repository}@{REVISION}"
    first = client("models", "fetch", ref, cache=cache)
    blob = next((cache / "models").rglob(f"snapshots/*/{name}")).resolve()
    good = blob.read_bytes()
    blob.write_bytes(good[:-1] + b"x")
    done = client("models", "check", ref, cache=cache)
    assert done.status == 2
    assert f"{name} differs from the checksum of the hub" in done.out
    assert client("models", "fetch", ref, cache=cache) == first
    assert blob.read_bytes() == good
    assert client("models", "check", ref, cache=cache).status == 0
    assert fetch_model(ref, cache, download=False).sha256 == first.out.split()[-1]
