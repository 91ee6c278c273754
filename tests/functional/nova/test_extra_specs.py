# SPDX-License-Identifier: Apache-2.0
"""Nova refuses invalid values of our extra specs."""

import pytest

from tests.functional.nova.harness import ColoTestCase

pytestmark = pytest.mark.surface

GOOD = {
    "ft:enabled": ("true", "1", "yes", "False", "0"),
    "ft:mode": ("colo", "checkpoint", "hybrid"),
    "ft:checkpoint_interval_ms": ("10", "60000"),
    "ft:auto_reprotect": ("true", "0"),
}
WRONG = {
    "ft:enabled": ("maybe", "", "2"),
    "ft:mode": ("COLO", "remus", ""),
    "ft:checkpoint_interval_ms": ("9", "60001", "1.5", "fast", "-10"),
    "ft:auto_reprotect": ("sometimes",),
    "ft:enable": ("true",),
}


class ExtraSpecsTest(ColoTestCase):
    host_names = ()

    def setUp(self):
        super().setUp()
        self.flavor = self._create_flavor()

    def _set(self, name, value, version="2.86"):
        path = f"/flavors/{self.flavor}/os-extra_specs"
        return self.request("POST", path, {"extra_specs": {name: value}}, version=version)

    def test_right_ones_are_taken(self):
        for name, values in GOOD.items():
            for value in values:
                self.assertEqual(200, self._set(name, value).status_int, (name, value))

    def test_wrong_ones_are_refused_with_a_reason(self):
        for name, values in WRONG.items():
            for value in values:
                answer = self._set(name, value)
                self.assertEqual(400, answer.status_int, (name, value))
                self.assertIn("Validation failed", answer.json["badRequest"]["message"])

    def test_other_namespaces_and_older_microversions_are_as_ever(self):
        self.assertEqual(200, self._set("vendor:anything", "goes").status_int)
        self.assertEqual(200, self._set("ft:mode", "remus", version="2.85").status_int)
