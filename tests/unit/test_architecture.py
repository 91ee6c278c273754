# SPDX-License-Identifier: Apache-2.0
"""The table in docs/architecture.md matches the tree, and imports between folders follow its rules."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
ARCHITECTURE = (REPO / "docs" / "architecture.md").read_text()
OURS = ("colo_dashboard", "lab", "nova_colo", "novaclient_colo", "tests", "tools")

#: For each folder, the packages of ours that its code may import.
MAY_IMPORT = {
    "nova_colo/pair": ("nova_colo.pair",),
    "nova_colo/db": ("nova_colo.db", "nova_colo.pair", "nova_colo.conf"),
    "nova_colo/policies": ("nova_colo.policies", "nova_colo.pair"),
    "nova_colo/conf": ("nova_colo.conf", "nova_colo.pair", "nova_colo.version"),
    "nova_colo/scheduler": ("nova_colo.pair",),
    "nova_colo/virt": (
        "nova_colo.conf",
        "nova_colo.db",
        "nova_colo.emulator_options",
        "nova_colo.hoststate",
        "nova_colo.pair",
        "nova_colo.rpc",
        "nova_colo.simulator",
        "nova_colo.virt",
    ),
    "nova_colo/hoststate": ("nova_colo.hoststate", "nova_colo.pair", "nova_colo.conf"),
    "novaclient_colo": ("novaclient_colo",),
    "colo_dashboard": ("colo_dashboard", "novaclient_colo"),
    "nova_colo": ("nova_colo",),
}


def imported(path: pathlib.Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(folder):
    forbidden = {
        f"{path.relative_to(REPO)}: {module}"
        for path in (REPO / folder).rglob("*.py")
        for module in imported(path)
        if module.split(".")[0] in OURS and not module.startswith(MAY_IMPORT[folder])
    }
    assert not forbidden


def first_column(title: str) -> set[str]:
    """Return the names in the first column of the table with this title."""
    table = re.search(rf"^\| {re.escape(title)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", ARCHITECTURE, re.M)
    assert table, title
    return {name for row in table[1].splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def test_the_table_has_every_folder_and_no_other():
    folders = {f"nova_colo/{path.parent.name}/" for path in (REPO / "nova_colo").glob("*/__init__.py")}
    assert folders <= first_column("folder")
    assert {name for name in first_column("folder") if not (REPO / name).exists()} == set()


@pytest.mark.parametrize("folder", ["engine", "agent/qemu"])
def test_the_table_has_every_file_of_a_folder_and_no_other(folder):
    root = REPO / "nova_colo" / folder
    files = {str(path.relative_to(root)) for path in root.rglob("*.py") if path.name != "__init__.py"}
    named = first_column(f"file of `{folder}/`")
    within = {file for file in files if f"{file.split('/')[0]}/" in named}
    assert files - within - named == set()
    assert {name for name in named if not (root / name).exists()} == set()
