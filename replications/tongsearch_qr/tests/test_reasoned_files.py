"""Files of reasoned queries: what is read, what is refused, and the released ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from ir_replications.shared.data import BRIGHT_SUBSETS, load_bright_queries, load_collection
from ir_replications.shared.errors import InputError
from ir_replications.tongsearch_qr.rewriting.reasoned_files import (
    PROXY,
    read_reasoned,
    read_released,
    write_reasoned,
)

QUERIES = {"b": "Why?", "a": "How\nso?"}
REASONED = {"b": "Because é\n# 1", "a": "Like this"}


def lines(*records: dict[str, object]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_what_is_written_is_read_back_in_the_order_of_the_queries(
    tmp_path: Path, name: str
) -> None:
    path = write_reasoned(tmp_path / "new" / name, {"c": "more", "a": REASONED["a"]} | REASONED)
    found = read_reasoned(path, QUERIES)
    assert found == REASONED and list(found) == ["b", "a"]
    assert read_reasoned(path.parent, QUERIES) == REASONED
    assert read_reasoned(path.parent, {}) == {}
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_map_keyed_by_the_text_of_the_query_is_read(tmp_path: Path, zipped: bool) -> None:
    content = json.dumps({"Why?": REASONED["b"], "How\nso?": REASONED["a"], "Else?": "no"})
    path = tmp_path / ("map.json.gz" if zipped else "map.json")
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    assert read_reasoned(path, QUERIES) == REASONED
    # Equal texts under two ids share their reasoned query, as TheoremQA's do in the release.
    assert read_reasoned(path, {"1": "Why?", "2": "Why?"}) == {"1": "Because é\n# 1"} | {
        "2": "Because é\n# 1"
    }


def test_queries_without_a_reasoned_one_are_named(tmp_path: Path) -> None:
    path = write_reasoned(tmp_path / "x.jsonl", {"a": "text"})
    wanted = {qid: "?" for qid in ("a", "q1", "q2", "q3", "q4")}
    with pytest.raises(
        InputError, match=r"no reasoned query for 4 of 5 queries: 'q1', 'q2', 'q3', \.\.\.;"
    ):
        read_reasoned(path, wanted)
    with pytest.raises(InputError, match="for 1 of 2 queries: 'b';"):
        read_reasoned(path, QUERIES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"_id": "a", "text": "t"}\n{"_id": "b"', r"x\.jsonl:2: malformed JSON"),
        ("x.jsonl", lines({"_id": "a", "text": 1}), r'x\.jsonl:1: "text" is int'),
        ("x.jsonl", lines({"id": "a", "text": "t"}), r'x\.jsonl:1: "_id" is NoneType'),
        ("x.jsonl", lines({"_id": "a", "text": " \n"}), r":1: the reasoned query is empty"),
        (
            "x.jsonl",
            lines({"_id": "a", "text": "t"}, {"_id": "a", "text": "u"}),
            r":2: duplicate query id 'a'",
        ),
        ("x.json", '{"Why?": "t",\n\n "How"', r"x\.json:3: malformed JSON"),
        ("x.json", '["Why?"]', "expected one JSON object"),
        ("x.json", '{"Why?": ["t"]}', "reasoned query of 'Why\\?' is empty or not a text"),
        ("x.json", '{"Why?": "t", "Why?": "u"}', ".Why\\?. is given twice"),
        ("x.json", '{"Why?": "\\ud800"}', "half a character"),
        ("x.json", "[" * 100_000, r"x\.json: JSON nested too deeply"),
        ("x.json", "9" * 5000, r"x\.json: malformed JSON \(a number of too many digits"),
        ("x.json", '{"Why?":\n\ufeff"t"}', r"x\.json:2: a byte order mark"),
        ("x.jsonl", lines({"_id": "a\0", "text": "t"}), r":1: \"_id\" 'a.x00' holds"),
        ("x.jsonl", lines({"_id": "a "}), r":1: \"_id\" 'a ' begins or ends with white space"),
        ("x.jsonl", lines({"_id": "a", "text": None}), r'x\.jsonl:1: "text" is NoneType'),
        ("x.jsonl", '{"_id": "a", "_id": "b", "text": "t"}', r":1: '_id' is given twice"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_reasoned(path, QUERIES)
    assert "\n" not in str(caught.value)


def test_a_folder_must_say_which_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_reasoned(tmp_path / "no", QUERIES)
    with pytest.raises(InputError, match=r"expected one .* found nothing; give the path"):
        read_reasoned(tmp_path, QUERIES)
    write_reasoned(tmp_path / "one.jsonl", REASONED)
    write_reasoned(tmp_path / "two.jsonl", dict.fromkeys(REASONED, "2"))
    with pytest.raises(InputError, match=r"found one\.jsonl, two\.jsonl; give the path"):
        read_reasoned(tmp_path, QUERIES)
    assert read_reasoned(tmp_path, QUERIES, "one") == REASONED
    with pytest.raises(InputError, match=r"expected three\.jsonl"):
        read_reasoned(tmp_path, QUERIES, "three")


def test_nothing_empty_is_written_and_no_file_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="query 'a': the reasoned query is empty"):
        write_reasoned(tmp_path / "x.jsonl", {"b": "t", "a": "  "})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("reasoned", "message"),
    [
        ({"a ": "t"}, "query id 'a ' .* begins or ends with white space"),
        ({"a\n": "t"}, "query id"),
        ({"a": "\ud800"}, "the reasoned query of 'a' holds '.ud800', half a character"),
        ({"a": None}, "the reasoned query of 'a' is NoneType"),
        ({1: "t"}, "query id '1' is int"),
    ],
)
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_what_a_reader_would_refuse_is_not_written(
    tmp_path: Path, reasoned: dict, message: str, name: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_reasoned(tmp_path / name, reasoned)
    assert not list(tmp_path.iterdir())


def test_hidden_files_pipes_and_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_reasoned(tmp_path / "x.jsonl", REASONED)
    (tmp_path / "._x.jsonl").write_bytes(b"\0\5\xff")
    assert read_reasoned(tmp_path, QUERIES) == REASONED
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_reasoned("~/x.jsonl", QUERIES) == REASONED
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    assert read_reasoned(path, QUERIES) == REASONED
    writer.join()
    with pytest.raises(InputError, match="nobody writes to"):
        read_reasoned(path, QUERIES)


def test_the_proxys_ids_lead_to_the_subsets_files(tmp_path: Path) -> None:
    for subset in ("biology", "economics"):
        folder = tmp_path / "bright" / subset / "reasoned"
        write_reasoned(folder / "m.jsonl", {"0": f"{subset} 0", "1": f"{subset} 1"})
    queries = {"economics/1#q": "?", "biology/0#q": "?", "biology/1#q": "?"}
    assert read_released(PROXY, queries, "m", tmp_path) == {
        "economics/1#q": "economics 1",
        "biology/0#q": "biology 0",
        "biology/1#q": "biology 1",
    }
    assert read_released("bright/biology", {"1": "?"}, "m", tmp_path) == {"1": "biology 1"}
    with pytest.raises(InputError, match="expected <BRIGHT subset>/<id>#q"):
        read_released(PROXY, {"7": "?"}, "m", tmp_path)


@pytest.mark.parametrize(
    ("name", "sha256"),
    [  # of the sorted [query, reasoned query] pairs, released commit 1cdf6a4
        ("1.5b", "7d6037cc9f71882b14c60b0dc09a8981cd3c69c55aa009e9f4bb99250f3ece95"),
        ("7b", "e0744fcabce72167212391a5129876dbfda25df52fa348e3368ab80cdcc1efa0"),
    ],
)
def test_released_reasoned_queries_cover_every_query(
    data_root: Path, name: str, sha256: str
) -> None:
    by_text: dict[str, str] = {}
    count, name = 0, f"tongsearch-qr-{name}"
    for subset in BRIGHT_SUBSETS:
        queries = load_bright_queries(subset, data_root).queries
        reasoned = read_released(f"bright/{subset}", queries, name, data_root)
        count += len(reasoned)
        for qid, text in reasoned.items():
            assert by_text.setdefault(queries[qid], text) == text
    assert (count, len(by_text)) == (1384, 1308)
    content = json.dumps(sorted(by_text.items())).encode()
    assert hashlib.sha256(content).hexdigest() == sha256
    proxy = load_collection(PROXY, data_root=data_root).queries
    assert set(read_released(PROXY, proxy, name, data_root).values()) <= set(by_text.values())
