"""The table of fault rules in tests/README.md."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
NUMBERED = re.compile(r"^def test_([NHACUDSLW]\d+)_", re.M)


def test_fault_table_names_the_files_of_all_numbered_tests() -> None:
    text = (TESTS / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([NHACUDSLW]\d+) \| .* \| ([^|]*) \|$", text, re.M))
    assert len(rows) == 92
    expected: dict[str, set[str]] = {number: set() for number in rows}
    for path in TESTS.rglob("test_*.py"):
        for number in NUMBERED.findall(path.read_text(encoding="utf-8")):
            expected[number].add(path.relative_to(TESTS).as_posix())
    assert {n: files for n, files in expected.items() if files and ", ".join(sorted(files)) != rows[n]} == {}
