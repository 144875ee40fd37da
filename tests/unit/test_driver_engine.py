"""The driver at a real engine: every form that llama.cpp has, token for token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving import driver
from kernleap.workload.serving.engines import ServeOptions, Serving, parse_engine, serve
from kernleap.workload.serving.load import Closed, Fixed, Form, LoadSpec, PromptForm
from kernleap.workload.serving.packages import llama_tree
from kernleap.workload.serving.records import read_requests

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    try:
        llama_tree()
    except InfrastructureError as error:
        pytest.skip(f"the archive is out of reach: {error.what}")
    options = ServeOptions(workdir=tmp_path_factory.mktemp("llama"), streams=4)
    with serve(parse_engine("llama.cpp"), options) as found:
        yield found


@pytest.mark.parametrize(
    ("form", "prompt_form"),
    [
        (Form.COMPLETIONS, PromptForm.IDS),
        (Form.CHAT, PromptForm.LETTERS),
        (Form.LLAMA, PromptForm.IDS),
    ],
)
def test_tokens_asked_for_are_tokens_seen(
    form: Form, prompt_form: PromptForm, serving: Serving, tmp_path: Path
) -> None:
    load = LoadSpec(
        Closed(4), Fixed(12), Fixed(20), requests=16, warmup_requests=4, prompt_form=prompt_form,
        vocabulary=(270, 380),
    )  # fmt: skip
    spec, target = driver.load_of(load, serving)
    spec, target = replace(spec, form=form), replace(target, path="")
    result = driver.run(spec, target, tmp_path)
    assert result.measured == {"ok": 16}
    assert result.retried == 0
    rows = read_requests(tmp_path / "requests.bin").rows
    assert set(rows["events"]) == set(rows["usage_completion"]) == {20}
    if prompt_form is PromptForm.IDS:
        assert set(rows["usage_prompt"]) == {12}
    assert result.histograms["ttft"].minimum > 0
    assert result.histograms["itl"].count == 16 * 19
