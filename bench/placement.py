"""How often placement calls a change where there is none: the rate, from boots of a null run.

    kernleap compare REF REF+cmdline:kernleap_null=1 --suite placement --boots 20 --no-off-arm
    python bench/placement.py RUN [--draws 400] [--boots 5]

The kernel ignores a parameter that it does not know, so nothing differs between the arms but where
their threads happen to be. Boots that repeat another value by value (`--aa`) count once. `--draws`
times two arms of `--boots` blocks are drawn without replacement, compared and decided as `compare`
does, and the calls are counted. Draws share boots, so the rate is less certain than their number
suggests. The pairs of the run itself are judged as well, as planned.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

import numpy as np

from kernleap.judge.arms import ArmData, Boot, collect
from kernleap.judge.findings import find
from kernleap.judge.policy import load
from kernleap.model.metric import Metric
from kernleap.model.result import Decision, Finding
from kernleap.store import RunStore

CALLS = (Decision.BETTER, Decision.WORSE, Decision.BEHAVIOUR_CHANGED)


def arm_of(name: str, boots: list[Boot]) -> ArmData:
    """An arm of these boots; the n-th of both arms make a block."""
    return ArmData(
        name,
        tuple(Boot(b.id, block, block, b.samples, b.profiles) for block, b in enumerate(boots)),
    )


def distinct(boots: list[Boot]) -> list[Boot]:
    """The boots without those that repeat another value by value."""
    seen = {tuple((n, v.tobytes()) for n, v in sorted(b.samples.items())): b for b in boots}
    return list(seen.values())


def tally(findings: tuple[Finding, ...]) -> Counter[str]:
    """Decisions, of primary metrics apart from the rest."""
    counts: Counter[str] = Counter()
    for finding in findings:
        kind = "locality" if finding.comparison.metric.quantity == "locality" else "behaviour"
        counts[f"{kind} compared"] += 1
        counts[f"{kind} {finding.decision.value}"] += 1
        counts[f"{kind} calls"] += finding.decision in CALLS
    return counts


def rates(metrics: tuple[Metric, ...], boots: list[Boot], draws: int, size: int) -> Counter[str]:
    """Tallies over all draws."""
    rng, policy = np.random.default_rng(1), load(None)
    total: Counter[str] = Counter()
    for _ in range(draws):
        chosen = [boots[i] for i in rng.permutation(len(boots))[: 2 * size]]
        first, second = arm_of("A", chosen[:size]), arm_of("A again", chosen[size:])
        found = tally(find(metrics, first, second, policy))
        total += found
        total["draws"] += 1
        total["draws with a call on locality"] += found["locality calls"] > 0
    return total


def main() -> None:
    """Print the rates as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--boots", type=int, default=5)
    asked = parser.parse_args()
    run = RunStore.open(asked.run).load()
    arms = collect(run)
    boots = distinct([boot for arm in arms.values() for boot in arm.boots])
    total = rates(run.plan.metrics, boots, asked.draws, asked.boots)
    baseline, again = (arms[arm.name] for arm in run.plan.arms[:2])
    as_planned = tally(find(run.plan.metrics, baseline, again, load(None)))
    print(
        json.dumps(
            {
                "boots": len(boots),
                "draws": dict(sorted(total.items())),
                "share of calls": {
                    kind: total[f"{kind} calls"] / total[f"{kind} compared"]
                    for kind in ("locality", "behaviour")
                    if total[f"{kind} compared"]
                },
                "as planned": dict(sorted(as_planned.items())),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
