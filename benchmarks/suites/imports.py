"""What an import takes, in a process of its own, and how many modules it brings."""

import subprocess
import sys


class Imports:
    params = ["gaistream", "gaistream.asgi", "gaistream.pure"]
    param_names = ("module",)

    def time_import(self, module):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    def track_modules(self, module):
        script = f"import sys; before = len(sys.modules); import {module}; "
        script += "print(len(sys.modules) - before)"
        ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        return int(ran.stdout)
