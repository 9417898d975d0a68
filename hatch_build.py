"""Makes what is not committed: gRPC code at every install, the compiled parts for a wheel."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = ("deviceplugin/gshare_deviceplugin/proto", "autoscaler/gshare_autoscaler/proto")


class NativeBuildHook(BuildHookInterface[Any]):
    """Generates messages and stubs beside the .proto files; builds hook, token daemon and driver.

    An editable install takes the compiled parts from build/native, which `make native` keeps
    fresh; the generated code lies in the checkout, where git ignores it.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate; for a wheel also compile into build/wheel and ship it as gshare/_native."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        for folder in PROTOS:
            generate(root, folder)
        if version == "editable":
            return
        out = root / "build" / "wheel"
        for part in ("simgpu", "hook", "modelstore/c"):
            subprocess.run(["make", "-C", str(root / part), f"OUT={out}"], check=True)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for folder in ("lib", "bin", "simgpu"):
            build_data["force_include"][str(out / folder)] = f"gshare/_native/{folder}"
        build_data["force_include"][str(root / "examples" / "paper")] = "gshare_cli/_paper"


def generate(root: Path, folder: str) -> None:
    """Write the Python modules of a folder's .proto files beside them, with their types.

    They are compiled by the name they have within the component's folder, so that the modules
    import each other by their package.
    """
    component, _, package = folder.partition("/")
    source = root / component
    files = sorted(str(file.relative_to(source)) for file in (source / package).glob("*.proto"))
    outputs = [f"--{kind}=." for kind in ("python_out", "pyi_out", "grpc_python_out")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *files]
    subprocess.run(command, cwd=source, check=True)
