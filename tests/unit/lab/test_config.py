# SPDX-License-Identifier: Apache-2.0
"""Test the services' configuration, and that passwords are not exposed."""

import base64
import hashlib
import json

from oslo_config import cfg

from lab.cloud import dashboard
from lab.cloud.config import colo, files, mariadb, nova, rabbitmq
from lab.cloud.config.ini import render
from lab.cloud.services import control_plane
from lab.hosts.simulated import SimulatedHost


def all_services(spec, supervisor):
    hosts = [SimulatedHost(name, spec, supervisor) for name in spec.state.hosts]
    return control_plane(spec) + [service for host in hosts for service in host.services()]


def test_no_password_is_in_any_command_or_environment(spec, supervisor):
    for service in all_services(spec, supervisor):
        words = " ".join([*service.argv, *service.environment.values()])
        for name, password in spec.passwords.items():
            assert password not in words, f"{service.name} shows the password {name}"


def test_service_names_are_unique(spec, supervisor):
    names = [service.name for service in all_services(spec, supervisor)]
    assert len(names) == len(set(names))


def test_every_host_runs_an_agent_and_a_nova_compute(spec, supervisor):
    names = [service.name for service in SimulatedHost("compute-b", spec, supervisor).services()]
    assert names == ["compute-b-agent", "compute-b-nova-compute"]


def test_without_fault_tolerance_the_cloud_is_stock(spec, supervisor):
    spec.state.colo = False
    names = [service.name for service in all_services(spec, supervisor)]
    assert "engine" not in names
    assert not any(name.endswith("-agent") for name in names)
    host = SimulatedHost("compute-a", spec, supervisor)
    host.prepare()
    text = (spec.layout.etc / "hosts" / "compute-a" / "nova.conf").read_text()
    assert f"compute_driver = {nova.STOCK_DRIVER}" in text


def test_oslo_config_reads_back_what_was_rendered(tmp_path):
    path = tmp_path / "x.conf"
    path.write_text(render({"DEFAULT": {"CamelCase": "a b"}, "colo": {"on": True, "n": 3}}))
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("CamelCase")])
    conf.register_opts([cfg.BoolOpt("on"), cfg.IntOpt("n")], group="colo")
    conf([], default_config_files=[str(path)])
    assert (conf.CamelCase, conf.colo.on, conf.colo.n) == ("a b", True, 3)


def test_all_written_files_are_the_owners_alone(spec, supervisor):
    files.write_all(spec)
    dashboard.write_settings(spec)
    SimulatedHost("compute-a", spec, supervisor).prepare()
    assert spec.layout.prefix.stat().st_mode & 0o777 == 0o711
    secrets = set(spec.passwords.values())
    for path in spec.layout.prefix.rglob("*"):
        if path.is_file() and any(secret in path.read_text() for secret in secrets):
            assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_compute_host_knows_no_database(spec, supervisor):
    host = SimulatedHost("compute-a", spec, supervisor)
    host.prepare()
    text = (spec.layout.etc / "hosts" / "compute-a" / "nova.conf").read_text()
    assert "mysql" not in text
    assert "compute_driver = colo.ColoFakeDriver" in text
    assert f"agent_state_path = {spec.layout.host('compute-a') / 'state'}" in text


def test_the_agent_and_the_driver_share_the_simulated_directory(spec, supervisor):
    host = SimulatedHost("compute-a", spec, supervisor)
    host.prepare()
    agent = (spec.layout.etc / "hosts" / "compute-a" / "agent.conf").read_text()
    driver = (spec.layout.etc / "hosts" / "compute-a" / "nova.conf").read_text()
    assert f"directory = {spec.layout.simulated}" in agent
    assert f"simulated_directory = {spec.layout.simulated}" in driver


def test_the_engine_reaches_nova_and_placement_as_the_service_user(spec):
    sections = colo.engine_conf(spec)
    for group in ("nova", "placement"):
        assert sections[group]["auth_type"] == "password"
        assert sections[group]["username"] == "service"
        assert sections[group]["region_name"] == "RegionOne"


def test_mariadb_listens_on_no_port_and_everyone_has_a_password(spec):
    assert mariadb.server_conf(spec)["mariadbd"]["skip-networking"] == "1"
    script = mariadb.init_sql(spec)
    assert f"ALTER USER root@localhost IDENTIFIED BY '{spec.passwords['database:root']}';" in script
    assert f"ALTER USER nova@localhost IDENTIFIED BY '{spec.passwords['database:nova']}';" in script


def test_the_broker_has_our_user_and_no_guest(spec):
    document = json.loads(rabbitmq.definitions(spec))
    assert [user["name"] for user in document["users"]] == ["lab"]
    raw = base64.b64decode(document["users"][0]["password_hash"])
    assert raw[4:] == hashlib.sha256(raw[:4] + spec.passwords["broker"].encode()).digest()


def test_the_dashboards_settings_are_python(spec):
    dashboard.write_settings(spec)
    text = (spec.layout.etc / "horizon" / "local" / "local_settings.py").read_text()
    compile(text, "local_settings.py", "exec")
    assert f"SECRET_KEY = '{spec.passwords['horizon-secret-key']}'" in text
    assert "themes/default" in text and "material" not in text  # the pages have the style sheets of one theme
