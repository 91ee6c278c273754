# SPDX-License-Identifier: Apache-2.0
"""The guest: its image and boot disk, its libvirt domain, and the sources of its programs."""
