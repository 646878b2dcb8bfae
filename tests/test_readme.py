"""What the README shows is what there is: its Python runs, and its table names every op."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nnx

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def python_block():
    return BLOCKS[0]


def test_the_python_block_runs():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", python_block()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"held-out accuracy: ([\d.]+)%", done.stdout)[1]) > 97


def test_all_blocks_run_one_after_the_other(tmp_path):
    assert len(BLOCKS) > 5
    assert "```py\n" not in README
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(BLOCKS)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr


def test_the_python_block_is_the_example():
    assert python_block() == (ROOT / "examples/readme.py").read_text()
    assert len(python_block().splitlines()) <= 20


def test_every_op_is_named():
    forward = [name for name in nnx.ops.__all__ if not name.endswith("_backward")]
    assert [name for name in forward if f"`{name}" not in README] == []


def test_links_lead_somewhere():
    targets = [
        target
        for page in ("README.md", "CONTRIBUTING.md")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text())
    ]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
