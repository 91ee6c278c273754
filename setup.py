# SPDX-License-Identifier: Apache-2.0
import setuptools
from setuptools.command.build_py import build_py


class BuildWithTranslations(build_py):
    """Compiles the translations first: the repository has their sources only."""

    def run(self):
        compiling = self.distribution.get_command_obj("compile_catalog")
        compiling.directory, compiling.domain = "colo_dashboard/locale", "django"
        self.run_command("compile_catalog")
        super().run()


setuptools.setup(cmdclass={"build_py": BuildWithTranslations})
