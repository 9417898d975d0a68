"""Puts the compiled parts into the wheel, so that an installed gshare needs no checkout."""

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeBuildHook(BuildHookInterface[Any]):
    """Builds hook, token daemon and simulated driver with make when a wheel is made.

    An editable install takes them from build/native, which `make native` keeps fresh.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into build/wheel; ship the results as gshare/_native, and the demo's files."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        out = root / "build" / "wheel"
        for part in ("simgpu", "hook"):
            subprocess.run(["make", "-C", str(root / part), f"OUT={out}"], check=True)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for folder in ("lib", "bin", "simgpu"):
            build_data["force_include"][str(out / folder)] = f"gshare/_native/{folder}"
        build_data["force_include"][str(root / "examples" / "paper")] = "gshare_cli/_paper"
