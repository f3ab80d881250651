"""What is to be installed for a library that is absent, by the package's own metadata."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ir_replications.shared.errors import MissingDependencyError
from ir_replications.shared.extras import remedy
from ir_replications.shared.models.libraries import require


@pytest.mark.parametrize(
    ("module", "extra"),
    [("ir_datasets", "irds"), ("ray", "ray"), ("huggingface_hub.errors", "hub")],
)
def test_one_extra_is_named(module: str, extra: str) -> None:
    assert remedy(module) == f"pip install 'ir-replications[{extra}]'"


def test_of_several_extras_all_are_named() -> None:
    assert remedy("torch") == (
        "pip install 'ir-replications[all]' (or only the extra that you need: "
        "bert_distill_losses, bmx, prorank, tongsearch_qr)"
    )
    assert remedy("unheard_of") == "pip install 'ir-replications[all]'"


def test_an_absent_library_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"^peft is not installed: pip install 'ir-"):
        require("peft")


def test_a_command_without_torch_is_one_line_with_the_extras() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ir_replications.__main__ import main\n"
        "sys.exit(main(['rerank', 'bm25', '--model', 'embedded:minilm-l6', '--collection', '.']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
