"""Questions over the trials of a run, answered by DuckDB straight from the Parquet files.

The only module that knows DuckDB. Judging does not pass here (it loads records, see
`RunStore.load`); this is for overviews and for comparing runs number by number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from kernleap.model.trial import TrialStatus
from kernleap.store.run import RunStore


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric in one arm over the `ok` trials of a run.

    `samples` counts operations over all boots; `minimum`, `median` and `maximum` are over
    the medians of the boots, in `unit`. A description, not a judgement.
    """

    metric: str
    unit: str
    arm: str
    boots: int
    samples: int
    minimum: float
    median: float
    maximum: float


def summary(store: RunStore) -> tuple[MetricSummary, ...]:
    """Every metric of a run by arm, in the order of the plan (then by name)."""
    rows = _over_samples(
        store,
        """
        WITH boots AS (
            SELECT arm, arm_order, trial, metric, any_value(unit) AS unit,
                   count(*) AS n, quantile_disc(value, 0.5) AS boot
            FROM samples GROUP BY ALL
        )
        SELECT metric, any_value(unit), arm, count(*), sum(n)::BIGINT,
               min(boot), quantile_disc(boot, 0.5), max(boot)
        FROM boots GROUP BY metric, arm, arm_order ORDER BY metric, arm_order
        """,
    )
    order = {metric.name: n for n, metric in enumerate(store.plan.metrics)}
    found = (MetricSummary(*row) for row in rows)
    return tuple(sorted(found, key=lambda s: order.get(s.metric, len(order))))


def _over_samples(store: RunStore, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL over a relation `samples(trial, arm, arm_order, metric, index, value, unit)`."""
    ok = [i for i, status in store.finished().items() if status is TrialStatus.OK]
    if not ok:
        return []
    arm_order = {arm.name: n for n, arm in enumerate(store.plan.arms)}
    arms = {trial.id: trial.arm for trial in store.plan.trials}
    trials = pa.table(
        {
            "trial": ok,
            "arm": [arms[i] for i in ok],
            "arm_order": [arm_order[arms[i]] for i in ok],
            "file": [str(store.trial_path(i)) for i in ok],
        }
    )
    with duckdb.connect(":memory:") as connection:
        connection.register("trials", trials)
        files = connection.read_parquet(_literal(trials.column("file").to_pylist()), filename=True)
        connection.register("rows", files)
        connection.execute(
            """
            CREATE VIEW samples AS
            SELECT t.trial, t.arm, t.arm_order, r.metric::VARCHAR AS metric, r.index, r.value,
                   r.unit::VARCHAR AS unit
            FROM rows r JOIN trials t ON t.file = r.filename WHERE r.record = 'sample'
            """
        )
        result: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return result


def _literal(files: Iterable[str]) -> list[str]:
    """File names as DuckDB globs that match only themselves."""
    return ["".join(f"[{c}]" if c in "*?[" else c for c in name) for name in files]
