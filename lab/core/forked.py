# SPDX-License-Identifier: Apache-2.0
"""Run several management commands one after the other, importing their program once.

Importing nova-manage takes far longer than most of its commands. Each command runs in a fork, with a fresh
state.
"""

import importlib
import json
import os
import sys


def main() -> int:
    """Run ``MODULE:FUNCTION NAME JSON...``, each JSON a list of arguments. Stop at the first failure."""
    target, name, *commands = sys.argv[1:]
    module, _, function = target.partition(":")
    entry_point = getattr(importlib.import_module(module), function)
    for command in commands:
        arguments = json.loads(command)
        print(f"+ {name} {' '.join(arguments)}", flush=True)
        child = os.fork()
        if child == 0:
            sys.argv = [name, *arguments]
            sys.exit(entry_point())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
