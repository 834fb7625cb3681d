"""Build hook: lets hatchling compile the native code when fmrw is installed; where that fails, fmrw is installed without it."""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeHook(BuildHookInterface):  # type: ignore[misc]  # hatchling is there while the package is built, and ships no types
    """Compile before a wheel is made, or the checkout is installed as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the library to a wheel; a wheel with it is for one kind of machine."""
        folder = Path(self.root, "fmrw", "capture", "native")
        spec = importlib.util.spec_from_file_location("fmrw_native_build", folder / "build.py")
        if self.target_name != "wheel" or spec is None or spec.loader is None:
            return
        build = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(build)
        made = build.compiled()
        if made is not None and version != "editable":
            build_data["force_include"][str(made)] = f"fmrw/capture/native/{made.name}"
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data.update(pure_python=False, tag=f"py3-none-{platform}")
