"""What a probe costs the thing that it watches: windows with it against plain ones beside them."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.serving import ServingProfile, ServingWindow
from kernleap.stats.mean import Mean, mean_of


@dataclass(frozen=True, slots=True)
class ProbePrice:
    """Changes with the probe on, as ratios less 1; means over rounds with a t interval.

    Attributes:
        rate: of tokens/s: below 0, the probe slows the server down.
        cpu: of the server's CPU time per token.
    """

    probe: str
    rate: Mean
    cpu: Mean


def prices_of(profile: ServingProfile, confidence: float = 0.95) -> tuple[ProbePrice, ...]:
    """The price of each probe. A window is compared with the plain one of its own round.

    Raises:
        ValueError: fewer than two rounds.
    """
    return tuple(
        ProbePrice(
            probed.probe,
            *(
                mean_of(
                    [
                        of(window) / of(plain) - 1
                        for plain, window in zip(profile.windows, probed.windows, strict=True)
                    ],
                    confidence,
                )
                for of in (_rate, _cpu)
            ),
        )
        for probed in profile.probed
    )


def _rate(window: ServingWindow) -> float:
    return window.tokens / window.elapsed_ns


def _cpu(window: ServingWindow) -> float:
    return max(1, window.cpu_ns) / window.tokens
