"""What import-linter can't see of decide's purity: chance inside numpy, and I/O without an import."""

import ast
from pathlib import Path

import pytest

import trimtab.decide

FOLDER = Path(trimtab.decide.__file__).parent
IMPURE = {"open", "print", "input", "eval", "exec", "compile", "__import__"}
NUMPY_IO = {"random", "load", "save", "savez", "loadtxt", "savetxt", "genfromtxt", "fromfile", "tofile", "memmap"}


def impure(text: str) -> set[str]:
    """Names of what the code uses that does I/O or draws numbers."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE:
            found.add(node.func.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            found |= {node.attr} & NUMPY_IO
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "numpy":
            found |= {*node.module.split("."), *(name.name for name in node.names)} & NUMPY_IO
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_decide_draws_no_numbers_and_opens_no_files(path: Path) -> None:
    assert impure(path.read_text("utf-8")) == set()


@pytest.mark.parametrize(
    "text", ["np.random.default_rng()", "from numpy import random", "from numpy.random import rand", "open('x')"]
)
def test_the_check_above_finds_what_it_looks_for(text: str) -> None:
    assert impure(text)
