"""Builds the native parts into the wheel, so that an installed kernleap needs no compiler.

The wheel carries a plugin for this machine's QEMU, hence a platform tag; the guest's bytes are
the same wherever the wheel is built.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeBuildHook(BuildHookInterface):
    """Adds `kernleap/_native/` to wheels (not to editable installs, which have the sources)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build and include; called by hatchling before it packs a wheel."""
        if version == "editable":
            return
        root = Path(self.root)
        output = root / "build" / "native"
        _build_module(root).package(output)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{platform.machine()}"
        build_data["force_include"][str(output)] = "kernleap/_native"


def _build_module(root: Path) -> Any:
    """kernleap.guest.build, loaded without the packages around it: they need more than it does."""
    sys.path.insert(0, str(root / "src"))
    path = root / "src" / "kernleap" / "guest" / "build.py"
    spec = importlib.util.spec_from_file_location("kernleap_native_build", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
