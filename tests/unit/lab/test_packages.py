# SPDX-License-Identifier: Apache-2.0
"""Test that bindep.txt lists the packages that the lab installs."""

import shutil
from pathlib import Path

import pytest

from lab.core import install

REPO = Path(__file__).resolve().parents[3]


def test_bindep_lists_what_is_installed_where_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {line for line in (REPO / "bindep.txt").read_text().splitlines() if not line.startswith("#")}
    monkeypatch.setattr(shutil, "which", lambda program, path=None: None)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setattr(Path, "glob", lambda path, pattern: iter(()))
    monkeypatch.setattr(install, "_has_module", lambda name: False)
    monkeypatch.setattr(install, "venv_is_current", lambda: False)
    assert set(install.missing_packages()) == listed
