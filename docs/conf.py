# SPDX-License-Identifier: Apache-2.0
"""Sphinx: ``make docs`` writes HTML to docs/_build/html."""

import pathlib
import sys

from nova_colo import version

# our own extension
sys.path.insert(0, str(pathlib.Path(__file__).parent / "extensions"))

project = "COLO fault tolerance for OpenStack"
author = "COLO fault tolerance contributors"
project_copyright = author
version = release = version.release()

extensions = [
    "cliff.sphinxext",
    "myst_parser",
    "openapi_reference",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "reasons_table",
    "reno.sphinxext",
]
autoprogram_cliff_application = "openstack"
exclude_patterns = ["_build", "extensions"]
# of blocks that name none
highlight_language = "text"
# headings up to this depth can be linked to as #their-text
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
