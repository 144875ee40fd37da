"""Guests by the name that a machine's spec gives them."""

from __future__ import annotations

from collections.abc import Callable

from kernleap.guest.initramfs import GuestImage, guest_image
from kernleap.guest.serving import serving_image
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch
from kernleap.model.machine import MachineSpec

_GUESTS: dict[str, Callable[[Arch], GuestImage]] = {
    "micro": guest_image,
    "serving": serving_image,
}


def guest_of(spec: MachineSpec) -> GuestImage:
    """The guest of this machine, built or from the cache.

    Raises:
        UsageError: there is no guest of that name.
        InfrastructureError: it cannot be built.
    """
    if spec.guest not in _GUESTS:
        raise UsageError(f"There is no guest {spec.guest!r}", cause=f"known: {', '.join(_GUESTS)}")
    return _GUESTS[spec.guest](spec.arch)
