"""The form of one trial on disk: a Parquet table plus a JSON header (docs/store-schema.md).

The table is long, one row a number, so that any Parquet tool can read it:

======== =========== =========================================================
column   type        meaning
======== =========== =========================================================
record   dictionary  what the row is: see `Row`
metric   dictionary  metric name (samples) or region (everything else)
index    int32       operation number (samples) or variant number
label    dictionary  function or event; empty where the row has none
value    float64     the number
unit     dictionary  its unit
======== =========== =========================================================

The header (everything of a TrialRecord that is not a number per row, and the order and
length of its parts) sits in the file's key-value metadata with its digest, so a trial is one
file that is either there, whole, or not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kernleap.model.trial import Profile, Samples, Trial, TrialRecord, TrialStatus
from kernleap.store.codec import CodecError, decode, encode

TRIAL_SCHEMA = 1
EXACT_LIMIT = 2**53
"""Counts are stored as float64 and so must be below this to be exact."""

_KEY_SCHEMA = b"kernleap.schema"
_KEY_HEADER = b"kernleap.record"
_KEY_DIGEST = b"kernleap.record.sha256"


class Row(StrEnum):
    """What a row of the table is."""

    SAMPLE = "sample"
    VARIANT = "variant"
    """One per profile: `value` is its number of operations."""
    FUNCTION = "function"
    """`value` is the kernel instructions of `label` over all operations of the variant."""
    FUNCTION_REP = "function_rep"
    EVENT = "event"
    """`value` is events `label` per operation."""


_NAMES = pa.dictionary(pa.int32(), pa.string())
TABLE = pa.schema(
    {
        "record": _NAMES,
        "metric": _NAMES,
        "index": pa.int32(),
        "label": _NAMES,
        "value": pa.float64(),
        "unit": _NAMES,
    }
)

_UNITS = {
    Row.VARIANT: "operations",
    Row.FUNCTION: "instructions",
    Row.FUNCTION_REP: "iterations",
    Row.EVENT: "events/operation",
}


class SchemaError(ValueError):
    """The bytes are not a trial file, or not one of a version this code knows."""


class NewerSchemaError(SchemaError):
    """The file was written by a newer kernleap."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a TrialRecord that are not rows, and the layout of the rows.

    `samples` has [metric, unit, number of rows] of each part, in order; `profiles` has
    [functions, functions with REP iterations, events] of each profile, whose rows follow
    its one `variant` row. Plain lists: there are thousands, and the digest vouches for them.
    """

    trial: Trial
    status: TrialStatus
    reason: str
    facts: dict[str, Any]
    artifacts: dict[str, str]
    warnings: tuple[str, ...]
    cpu_seconds: float
    wall_seconds: float
    attempt: int
    samples: Any
    profiles: Any


_HEADER_FIELDS = (
    "trial", "status", "reason", "facts", "artifacts", "warnings",
    "cpu_seconds", "wall_seconds", "attempt",
)  # fmt: skip


def to_table(record: TrialRecord) -> pa.Table:
    """The table of a record, with the header in its schema metadata.

    Raises:
        ValueError: a count too large to be exact, or a fact that JSON cannot hold.
    """
    header = Header(
        **{name: getattr(record, name) for name in _HEADER_FIELDS},
        samples=[[s.metric, s.unit, len(s.values)] for s in record.samples],
        profiles=[[len(p.counts), len(p.rep_counts), len(p.events)] for p in record.profiles],
    )
    text = json.dumps(encode(header)).encode("ascii")
    metadata = {
        _KEY_SCHEMA: str(TRIAL_SCHEMA).encode("ascii"),
        _KEY_HEADER: text,
        _KEY_DIGEST: hashlib.sha256(text).hexdigest().encode("ascii"),
    }
    table = pa.concat_tables([_samples_table(record.samples), _profiles_table(record.profiles)])
    return table.replace_schema_metadata(metadata)


def _table(
    *, record: pa.Array, metric: pa.Array, index: Any, label: pa.Array, value: Any, unit: pa.Array
) -> pa.Table:
    return pa.table([record, metric, index, label, value, unit], schema=TABLE)


def _repeated(names: list[str], lengths: list[int]) -> pa.Array:
    codes = np.repeat(np.arange(len(names), dtype=np.int32), lengths)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string()))


def _dictionary(values: list[str]) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode()


def _samples_table(samples: tuple[Samples, ...]) -> pa.Table:
    lengths = [len(s.values) for s in samples]
    total = sum(lengths)
    empty: list[NDArray[Any]] = [np.empty(0)]
    return _table(
        record=_repeated([Row.SAMPLE], [total]),
        metric=_repeated([s.metric for s in samples], lengths),
        index=np.concatenate([*(np.arange(n) for n in lengths), *empty]).astype(np.int32),
        label=_repeated([""], [total]),
        value=np.concatenate([*(s.values for s in samples), *empty]),
        unit=_repeated([s.unit for s in samples], lengths),
    )


def _profiles_table(profiles: tuple[Profile, ...]) -> pa.Table:
    rows: list[tuple[Row, str, int, str, float]] = []
    for profile in profiles:
        rows.append((Row.VARIANT, profile.region, profile.variant, "", profile.operations))
        parts: tuple[tuple[Row, Mapping[str, float]], ...] = (
            (Row.FUNCTION, profile.counts),
            (Row.FUNCTION_REP, profile.rep_counts),
            (Row.EVENT, profile.events),
        )
        for kind, values in parts:
            for label, value in values.items():
                if kind is not Row.EVENT and not 0 <= value < EXACT_LIMIT:
                    raise ValueError(f"{profile.region}: {label} = {value} is not an exact count")
                rows.append((kind, profile.region, profile.variant, label, value))
    return _table(
        record=_dictionary([row[0] for row in rows]),
        metric=_dictionary([row[1] for row in rows]),
        index=[row[2] for row in rows],
        label=_dictionary([row[3] for row in rows]),
        value=[float(row[4]) for row in rows],
        unit=_dictionary([_UNITS[row[0]] for row in rows]),
    )


def check_version(metadata: Mapping[bytes, bytes] | None) -> None:
    """Refuse what is not a trial file of a version that this code reads.

    Raises:
        SchemaError: not a trial file, or (NewerSchemaError) of a newer version.
    """
    metadata = metadata or {}
    if _KEY_SCHEMA not in metadata:
        raise SchemaError("it is not a kernleap trial (no schema version in its metadata)")
    version = metadata[_KEY_SCHEMA].decode("ascii", "replace")
    if version != str(TRIAL_SCHEMA):
        known = f"this kernleap reads version {TRIAL_SCHEMA}"
        if version.isdecimal() and int(version) > TRIAL_SCHEMA:
            raise NewerSchemaError(f"it has schema version {version}; {known}")
        raise SchemaError(f"it has schema version {version!r}; {known}")


def read_header(metadata: Mapping[bytes, bytes] | None) -> Header:
    """The header in a file's key-value metadata.

    Raises:
        SchemaError: as `check_version`; also when the header is damaged.
    """
    check_version(metadata)
    metadata = metadata or {}
    text = metadata.get(_KEY_HEADER, b"")
    if hashlib.sha256(text).hexdigest().encode("ascii") != metadata.get(_KEY_DIGEST):
        raise SchemaError("its header does not match its digest")
    try:
        return decode(Header, json.loads(text))
    except (CodecError, json.JSONDecodeError) as error:
        raise SchemaError(f"its header is malformed ({error})") from error


def from_table(table: pa.Table) -> TrialRecord:
    """The record of a table as `to_table` made it, equal in every field.

    Raises:
        SchemaError: see `read_header`; also when rows and header disagree.
    """
    header = read_header(table.schema.metadata)
    if table.schema.remove_metadata() != TABLE:
        raise SchemaError("its columns are not those of a trial")
    values = table.column("value").to_numpy()
    position = 0
    samples = []
    for metric, unit, n in header.samples:
        samples.append(Samples(metric, unit, values[position : position + n]))
        position += n
    profiles = _profiles(header, table, position) if header.profiles else ()
    rows = position + sum(1 + sum(part) for part in header.profiles)
    if rows != table.num_rows:
        raise SchemaError(f"its header speaks of {rows} rows, it has {table.num_rows}")
    fields = {name: getattr(header, name) for name in _HEADER_FIELDS}
    return TrialRecord(**fields, samples=tuple(samples), profiles=profiles)


def _profiles(header: Header, table: pa.Table, position: int) -> tuple[Profile, ...]:
    rows = table.slice(position).combine_chunks()
    if rows.num_rows < sum(1 + sum(part) for part in header.profiles):
        raise SchemaError(f"it has {table.num_rows} rows, fewer than its header speaks of")
    regions, region_codes = _coded(rows.column("metric"))
    names, label_codes = _coded(rows.column("label"))
    labels = [names[code] for code in label_codes.tolist()]
    variants = rows.column("index").to_numpy()
    values = rows.column("value").to_numpy()
    with np.errstate(invalid="ignore"):  # events may be anything; they are not read as integers
        counts = values.astype(np.int64).tolist()
    profiles = []
    at = 0
    for n_functions, n_rep, n_events in header.profiles:
        functions = at + 1
        rep = functions + n_functions
        events = rep + n_rep
        end = events + n_events
        profiles.append(
            Profile(
                region=regions[region_codes[at]],
                variant=int(variants[at]),
                operations=counts[at],
                counts=dict(zip(labels[functions:rep], counts[functions:rep], strict=True)),
                rep_counts=dict(zip(labels[rep:events], counts[rep:events], strict=True)),
                events=dict(zip(labels[events:end], values[events:end].tolist(), strict=True)),
            )
        )
        at = end
    return tuple(profiles)


def _coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int32]]:
    """The distinct strings of a dictionary column, and each row's place among them."""
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.dictionary.to_pylist(), array.indices.to_numpy()


def to_bytes(record: TrialRecord) -> pa.Buffer:
    """The Parquet file of a record. Pages carry checksums: damage is found when reading."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        to_table(record),
        sink,
        compression="zstd",
        use_dictionary=["record", "metric", "label", "value", "unit"],
        column_encoding={"index": "DELTA_BINARY_PACKED"},
        write_page_checksum=True,
        write_statistics=False,
    )
    return sink.getvalue()
