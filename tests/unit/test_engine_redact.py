"""Command lines of servers are recorded without their secrets, and with everything else."""

from __future__ import annotations

import pytest

from kernleap.workload.serving.engines.redact import HIDDEN, redacted


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["serve", "--api-key", "abc", "--port", "8000"],
         ["serve", "--api-key", HIDDEN, "--port", "8000"]),
        (["--api-key", "one", "two", "--model", "m"],
         ["--api-key", HIDDEN, HIDDEN, "--model", "m"]),
        (["--api-key=abc", "--hf-token=abc"], [f"--api-key={HIDDEN}", f"--hf-token={HIDDEN}"]),
        (["env", "HF_TOKEN=abc", "OPENAI_API_KEY=abc", "vllm"],
         ["env", f"HF_TOKEN={HIDDEN}", f"OPENAI_API_KEY={HIDDEN}", "vllm"]),
        (["--header", "Authorization: Bearer abc def"], ["--header", f"Authorization: {HIDDEN}"]),
        (["--redis", "redis://user:pw@host:1/0"], ["--redis", f"redis://{HIDDEN}@host:1/0"]),
        (["--x", "sk-0123456789abcdef"], ["--x", HIDDEN]),
        (["--max-tokens", "16", "--tokenizer", "t", "--ssl-keyfile", "k", "--seq-tokens=9"],
         ["--max-tokens", "16", "--tokenizer", "t", "--ssl-keyfile", "k", "--seq-tokens=9"]),
    ],
)  # fmt: skip
def test_secrets_are_hidden_and_nothing_else(given, kept):
    assert list(redacted(given)) == kept
