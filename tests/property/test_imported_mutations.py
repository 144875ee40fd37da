"""Any change of a real file gives figures that can be, or a usage error: never anything else."""

from __future__ import annotations

import copy
import json
from math import isfinite
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imported_files import ALL, document
from kernleap.imported.files import read_results
from kernleap.imported.quantities import QUANTITIES
from kernleap.model.errors import UsageError

DOCUMENTS = {name: document(name) for name in ALL}


def places(value, path=()):
    """The path of each value in a document."""
    yield path
    for key, child in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from places(child, (*path, key))


PLACES = {name: [p for p in places(data) if p] for name, data in DOCUMENTS.items()}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_changed_file_is_read_or_refused(tmp_path_factory, data):
    name = data.draw(st.sampled_from(ALL))
    changed = copy.deepcopy(DOCUMENTS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PLACES[name]))
        target = changed
        try:
            for key in path[:-1]:
                target = target[key]
            if data.draw(st.booleans()):
                del target[path[-1]]
            else:
                target[path[-1]] = data.draw(ANYTHING)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    file = Path(tmp_path_factory.getbasetemp()) / "changed.json"
    file.write_text(json.dumps(changed))
    try:
        (result,) = read_results([file])
    except UsageError as error:
        assert str(file) in error.where
        return
    for load in result.loads:
        assert load.values.keys() <= QUANTITIES.keys()
        assert all(isfinite(value) and value >= 0 for value in load.values.values())
        assert load.values.get("error_ratio", 0) <= 1
        json.dumps({**load.settings, **result.settings}, allow_nan=False)
