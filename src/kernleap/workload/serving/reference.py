"""The serving part of the reference of metrics: formula, unit and source of every quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernleap.imported.formats import FORMATS
from kernleap.imported.quantities import QUANTILES, QUANTITIES
from kernleap.model.metric import Better, Metric
from kernleap.workload.allreduce import region as allreduce
from kernleap.workload.metrics import metrics_for
from kernleap.workload.serving import client, timed
from kernleap.workload.serving.client import ClientQuantity
from kernleap.workload.serving.region import TINY

Table = tuple[tuple[str, ...], Iterable[tuple[str, ...]]]

_LAB = f"""\
Counted evidence, from boots of the suite `serving`: metrics `{TINY.name}/QUANTITY`.
An operation is one token streamed, whatever stream it belongs to; everything that runs between the
first measured token and the last counts, of the server, of the client and of the sockets between
them. The value of a boot is the mean over its {TINY.planned.iterations:,} tokens,
after {TINY.streams} requests that are not measured. Lower is better for
`kernel_instructions_per_token`, and for what of it the server and the client run; everything else
is behaviour.

Server and client are told apart by whose task runs: `X_of_server_per_token`,
`X_of_client_per_token` and `X_of_rest_per_token` add up to `X_per_token` exactly. The loopback
hands a packet to its receiver within the sender's system call, so the network's receive path is
part of the side that sent. Interrupts are in none of them, as they are not in the total.

Beside them is what the load driver sees there, in guest time (formulas below):
{{timed}}.
Guest time is a count of instructions in disguise (one is a nanosecond): behaviour, not evidence of
speed.
"""

_SERVER = """\
Timed evidence, from `compare --machine here --suite serving`: metrics
`serving/ENGINE-MODEL/QUANTITY`. A trial is one load on one server, and gives one value of each: the
account of the server's whole process tree between two moments within the load, divided by the
tokens that the load driver received between the same two moments. What is the whole machine's says
so. `kernleap bound` reads the same accounts window by window ([bound.md](bound.md)).
"""

_CLIENT = """\
Timed evidence, from the load driver `kernleap-load` (native/driver/README.md). One load gives
one value of each. *Scheduled* is when a request was due, not when it was sent: a server that
stalls is charged for every request that it kept waiting. Requests of the warm-up are not measured.
The window opens when the first measured request is due and closes after the given duration, or
when the last measured request has ended. In a guest all of these are guest time: behaviour, not
evidence of speed.
"""

_ERRORS = """\
A time is taken when the read that completed an event has returned. *D* is what passes from the
server's call to send until then: the way through the kernel, and the driver's wait for a CPU. It is
never below 0. On one machine, shared with others, the tests hold it below 2 ms for half of all
events and below 20 ms for nine of ten, against a server that records when it sent what
(tests/golden_server.py). A quantile from a histogram adds at most 0.4 %, half a bucket. A
driver that was late to begin, or short of CPU, says so: `kernleap driver selftest` has its ceiling.
"""

_ERROR_ROWS = (
    ("`ttft`", "0 to +D", "the scheduled time is exact: the driver's own"),
    ("`itl`", "-D of the event before to +D", "events of one read have one time: gaps of 0"),
    ("`tpot`", "± D / (tokens - 1)", "of the first and the last event"),
    ("`e2e`", "0 to +D", "of the last byte of the response"),
    ("`schedule_delay`", "two readings of a clock", "read just before the request is written"),
    (
        "timeouts",
        "0 to + 5 % or 250 ms of the limit, the lesser",
        "`errors_connect_timeout`, `errors_first_byte_timeout`, `errors_stall_timeout`, "
        "`errors_total_timeout`",
    ),
    ("rates, counts", "exact", "edges of the window are readings of the same clock"),
)

_IMPORTED = """\
Timed evidence, from `kernleap import` ([import.md](import.md)): metrics `imported/TOOL/QUANTITY`. A
file is a trial and gives one value of each, as its tool computed it over the requests of its run.
All of these tools count from when a request was *sent*.
"""


_ALLREDUCE = """\
Timed evidence, from `compare --machine here --suite allreduce` ([allreduce.md](allreduce.md)):
metrics `allreduce/BACKEND-RANKSxBYTES/QUANTITY`. A trial is one group of fresh processes.
"""


def serving_sections() -> Iterator[tuple[str, str, Table]]:
    """Title, introduction and table of each section, in order."""
    counted = [m for m in metrics_for([TINY]) if m.unit.endswith("/token")]
    guest = ", ".join(f"`{name}`" for name in TINY.timed())
    yield (
        "Serving: a token in the lab",
        _LAB.format(timed=guest),
        (("quantity", "unit", "better", "what"), (_counted(metric) for metric in counted)),
    )
    yield "Serving: what a token costs a real machine", _SERVER, _table(timed.QUANTITIES)
    yield "Serving: what the client sees", _CLIENT, _table(client.QUANTITIES)
    errors = (("of", "measured - true", "because"), _ERROR_ROWS)
    yield "Serving: how far a latency may be off", _ERRORS, errors
    yield "Serving: imported results", _IMPORTED, _imported()
    yield "All-reduce between processes", _ALLREDUCE, _table(allreduce.QUANTITIES)


def _counted(metric: Metric) -> tuple[str, ...]:
    return f"`{metric.quantity}`", metric.unit, _better(metric.better), metric.description


def _table(quantities: Iterable[ClientQuantity | allreduce.Quantity]) -> Table:
    rows = ((f"`{q.name}`", q.unit, _better(q.better), q.formula, q.source) for q in quantities)
    return ("quantity", "unit", "better", "formula", "source"), rows


def _imported() -> Table:
    tools = tuple(FORMATS.values())
    rows = []
    for quantity in QUANTITIES.values():
        name = quantity.name
        if quantity.name != quantity.base:
            if not quantity.name.endswith(f"_p{QUANTILES[0]}"):
                continue  # one row for all quantiles
            name = "`, `".join(f"{quantity.base}_p{q}" for q in QUANTILES)
        meaning = quantity.meaning.removeprefix(f"{QUANTILES[0]} % quantile of ")
        told = (tool.definitions.get(quantity.base, "not written") for tool in tools)
        rows.append((f"`{name}`", quantity.unit, _better(quantity.better), meaning, *told))
    return ("quantity", "unit", "better", "meaning", *(tool.name for tool in tools)), rows


def _better(better: Better) -> str:
    return "" if better is Better.NEITHER else str(better)
