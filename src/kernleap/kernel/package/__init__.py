"""Kernel packages of three families, read without ever unpacking them to disk.

`read_packages` streams through archives and keeps two members, the boot image and its
configuration. Names, links, kinds and sizes are checked as hostile input.
"""

from __future__ import annotations

from kernleap.kernel.package.reader import PackageKernel, read_packages

__all__ = ["PackageKernel", "read_packages"]
