"""What a new kernel asks for, and what the same tokens cost elsewhere: no measurement needed."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np

from kernleap.cost.bill import MTOK, Year
from kernleap.cost.fleet import Fleet
from kernleap.model.units import quantity


def is_patched(fleet: Fleet, arm: str) -> bool:
    """Whether the fleet file counts that arm among the kernels with patches of their own."""
    return fleet.patched is not None and any(fnmatchcase(arm, p) for p in fleet.patched.arms)


def upkeep_per_year(fleet: Fleet) -> float | None:
    """What carrying patches costs a year: rebase * releases * rate; None if nothing is said."""
    if fleet.patched is None or fleet.staff is None:
        return None
    hours = fleet.patched.rebase * fleet.patched.releases_per_year.to("")
    return (hours * fleet.staff.rate).to("money")


def rollout_hours(fleet: Fleet) -> float | None:
    """Staff hours to bring a kernel to every server it is for; None without [rollout]."""
    if fleet.rollout is None:
        return None
    servers = sum(pool.servers for pool in fleet.pool if pool.rollout)
    return (fleet.rollout.qualification + fleet.rollout.hands_on * servers).to("h")


def rollout_cost(fleet: Fleet, year: Year) -> float | None:
    """What a rollout costs: staff, and the time that servers are paid for and do not serve.

    hours * rate + servers * (drain + reboot + test) * yearly bill / (servers of the fleet * year)
    """
    hours = rollout_hours(fleet)
    if hours is None or fleet.rollout is None or fleet.staff is None:
        return None
    servers = sum(pool.servers for pool in fleet.pool if pool.rollout)
    bill = float(year.bill(np.ones(1)).money[0])
    lost = servers * fleet.rollout.down.to("year") * bill / fleet.servers
    return hours * fleet.staff.rate.to("money/h") + lost


def owning_pays_from(fleet: Fleet, year: Year) -> tuple[float, float] | None:
    """Where owning and an API cost the same: (utilisation of all pools, tokens a year).

    Fixed costs and idling against the price: u = (F + idle) / (p T - (loaded - idle)), T tokens
    of a year at full use, energy in money. The utilisation may be beyond 1, or infinite where
    energy alone costs more. None without a price.
    """
    if fleet.cloud is None or fleet.cloud.price is None:
        return None
    idle = year.tariff * float(year.idle.sum())
    swing = year.tariff * float(year.loaded.sum()) - idle
    capacity = float(year.capacity.sum())
    margin = fleet.cloud.price.to("money/token") * capacity - swing
    share = (float(year.fixed.sum()) + idle) / margin if margin > 0 else float("inf")
    return share, share * capacity


def rented_per_mtok(fleet: Fleet, year: Year) -> float | None:
    """Money for a million tokens on rented servers as busy as the fleet's first pool."""
    if fleet.cloud is None or fleet.cloud.rented is None:
        return None
    one = np.ones(1)
    busy = float(year.utilisation(one)[0, 0])
    tokens = float(year.capacity[0, 0]) * busy / fleet.pool[0].servers
    return (fleet.cloud.rented * quantity(1, "year")).to("money") / tokens * MTOK
