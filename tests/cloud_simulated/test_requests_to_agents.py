# SPDX-License-Identifier: Apache-2.0
"""Who can publish on the broker, as every compute host can, commands no agent."""

import json
import subprocess
import sys

from lab.core.patience import patient


def test_a_request_that_no_engine_has_signed_changes_nothing(cloud, lab, pair):
    primary, secondary = pair["primary"]["host"], pair["secondary"]["host"]
    server = {"server_id": pair["server_id"]}
    grant = {**server, "epoch": pair["epoch"] + 1}
    requests = [
        (primary, "demote", grant),
        (secondary, "promote", grant),
        (secondary, "discard", server),
        (primary, "release", server),
        (primary, "status", server),
    ]
    conf = lab.layout.etc / "nova-colo" / "nova-colo.conf"
    arguments = ["-m", "tests.cloud_simulated.unsigned_requests", str(conf), json.dumps(requests)]
    sent = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=patient(120), check=True
    )
    assert json.loads(sent.stdout.splitlines()[-1]) == ["request_not_signed"] * len(requests)
    after = cloud.protected("web-1")
    assert (after["epoch"], after["primary"]["host"]) == (pair["epoch"], primary)
    assert after["secondary"]["host"] == secondary and after["protected_since"] == pair["protected_since"]
