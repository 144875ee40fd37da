"""Kernel features that placement turns on: how one is recognised, and how it is switched off."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.kernel import KernelRef, Modifier, ModifierKind


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature with a knob. `off` switches it off."""

    title: str
    option: str
    """The kernel's configuration option, without `CONFIG_`."""
    image_word: bytes
    """A word that only a kernel image with the feature contains."""
    off: Modifier

    def off_ref(self, ref: KernelRef) -> KernelRef:
        """The same kernel, feature off."""
        return KernelRef(ref.source, ref.name, (*ref.modifiers, self.off))

    def is_off_of(self, off: KernelRef, on: KernelRef) -> bool:
        """Whether `off` is `on` with the feature switched off and nothing else changed."""
        rest = tuple(m for m in off.modifiers if m != self.off)
        return off.base == on.base and rest == on.modifiers and rest != off.modifiers

    def mentions(self, ref: KernelRef) -> bool:
        """Whether a reference sets the feature's knob itself."""
        return any((m.kind, m.key) == (self.off.kind, self.off.key) for m in ref.modifiers)


CACHE_AWARE = Feature(
    "cache-aware scheduling",
    "SCHED_CACHE",
    b"llc_balancing",
    Modifier(ModifierKind.DEBUGFS, "sched/llc_balancing/enabled", "0"),
)
"""Threads of a process are gathered in one last-level cache."""
