# SPDX-License-Identifier: Apache-2.0
"""The policies of the dashboard: the server side's own rules, and the operator's overrides of them."""

from pathlib import Path

import yaml

import colo_dashboard
from nova_colo import policies
from tests.unit.colo_dashboard.pages import INDEX, OTHER_PAGE, PROJECT_INDEX

DEFAULTS = Path(colo_dashboard.__file__).parent / "conf" / "default_policies.yaml"
REPO = Path(__file__).parents[3]


def test_its_defaults_are_those_of_the_server_replica():
    shipped = {
        rule["name"]: (rule["check_str"], rule["description"], rule["operations"])
        for rule in yaml.safe_load(DEFAULTS.read_text())
    }
    ours = {
        rule.name: (rule.check_str, rule.description, getattr(rule, "operations", []))
        for rule in policies.list_dashboard_rules()
    }
    assert shipped == ours, "run make policies"


def test_an_operators_rules_decide_who_is_shown_a_panel(cloud, login, settings, tmp_path):
    from openstack_auth import policy

    changed = tmp_path / "fault_tolerance_policy.yaml"
    changed.write_text('"os_compute_api:os-fault-tolerance:index": "role:admin"\n')
    settings.POLICY_FILES = settings.POLICY_FILES | {"fault_tolerance": str(changed)}
    policy.reset()
    try:
        assert f'href="{PROJECT_INDEX}"' not in login("demo").get(OTHER_PAGE).content.decode()
        assert f'href="{PROJECT_INDEX}"' in login("admin").get(OTHER_PAGE).content.decode()
    finally:
        policy.reset()


def test_without_a_file_of_the_operators_the_defaults_hold(cloud, login):
    page = login("demo").get(OTHER_PAGE).content.decode()
    assert f'href="{PROJECT_INDEX}"' in page and f'href="{INDEX}"' not in page


def test_the_settings_leave_an_operators_own_alone():
    """Horizon executes these files in the namespace of its settings, after the operator's own."""
    namespace = {
        "POLICY_FILES": {"compute": "ours.yaml"},
        "DEFAULT_POLICY_FILES": {"compute": "defaults.yaml"},
    }
    exec((REPO / "local_settings.d" / "_1155_fault_tolerance.py").read_text(), namespace)
    assert namespace["POLICY_FILES"] == {
        "compute": "ours.yaml",
        "fault_tolerance": "fault_tolerance_policy.yaml",
    }
    assert set(namespace["DEFAULT_POLICY_FILES"]) == {"compute", "fault_tolerance"}
    assert namespace["DEFAULT_POLICY_FILES"]["fault_tolerance"] == str(DEFAULTS)
