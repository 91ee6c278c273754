# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the description of a lab and a supervisor in a temporary folder; no service is started."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud.spec import Spec
from lab.core import ports
from lab.core.layout import Layout
from lab.core.process import Supervisor
from lab.core.state import State, ensure_passwords


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path / "lab")
    layout.create()
    return layout


@pytest.fixture
def spec(layout: Layout) -> Spec:
    state = State(ports=dict(ports.DEFAULTS))
    state.save(layout)
    return Spec(layout, state, ensure_passwords(layout))


@pytest.fixture
def supervisor(layout: Layout) -> Iterator[Supervisor]:
    supervisor = Supervisor(layout)
    yield supervisor
    supervisor.kill(supervisor.started_names())
