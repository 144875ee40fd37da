"""Engines: the servers whose tokens are measured.

`parse_engine` reads the text, `serve` has the engine answer within a context. A fresh server
for each trial is the rule: a warm one is another arm.
"""

from __future__ import annotations

# Each module enters its engine by being imported.
from kernleap.workload.serving.engines import command, llama_cpp, openai, tgi, vllm
from kernleap.workload.serving.engines.base import (
    PATHS,
    EngineFacts,
    EngineRef,
    Form,
    ServeOptions,
    Serving,
    all_engines,
    parse_engine,
    serve,
)

__all__ = [
    "PATHS",
    "EngineFacts",
    "EngineRef",
    "Form",
    "ServeOptions",
    "Serving",
    "all_engines",
    "command",
    "llama_cpp",
    "openai",
    "parse_engine",
    "serve",
    "tgi",
    "vllm",
]
