"""The driver's parsers against Python's own: any split of any response gives the same answer."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.guest.build import build_driver, host_arch

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY = settings(max_examples=150, deadline=None)


@cache
def binary() -> Path:
    return build_driver(host_arch())


def decode(responses: Iterable[Iterable[bytes]]) -> list[dict[str, Any]]:
    """Each response is a row of pieces, as if each were one read."""
    data = bytearray()
    for pieces in responses:
        for piece in pieces:
            if piece:
                data += struct.pack("<I", len(piece)) + piece
        data += struct.pack("<I", 0)
    done = subprocess.run(
        [binary(), "--decode"], input=bytes(data), capture_output=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def fnv(text: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({p % (len(data) + 1) for p in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


texts = st.text(max_size=12)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
keys = st.sampled_from(
    ["choices", "text", "delta", "content", "usage", "token", "details", "error_type", "message",
     "prompt_tokens", "completion_tokens", "x", "", "reasoning", "stop_reason", "logprobs"]
) | texts  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=25,
)
TEXT_OF_DELTA = ("content", "reasoning_content", "reasoning")


def texts_of(event: Any) -> Iterator[str]:
    """What scan.h says the text of an event is, on a tree. Duplicate keys do not occur."""
    if not isinstance(event, dict):
        return
    for key, value in event.items():
        if key == "content" and isinstance(value, str):
            yield value
        if key == "token" and isinstance(value, dict) and isinstance(value.get("text"), str):
            yield value["text"]
        if key == "choices" and isinstance(value, list):
            for choice in value:
                yield from texts_of_choice(choice)


def texts_of_choice(choice: Any) -> Iterator[str]:
    for key, value in choice.items() if isinstance(choice, dict) else ():
        if key == "text" and isinstance(value, str):
            yield value
        if key == "delta" and isinstance(value, dict):
            yield from (v for k, v in value.items() if k in TEXT_OF_DELTA and isinstance(v, str))


def utf8(text: str) -> bytes:
    """Lone surrogates become U+FFFD."""
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.encode()


@MANY
@given(
    events=st.lists(values, min_size=1, max_size=4),
    ascii_only=st.booleans(),
    spaces=st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]),
)
def test_texts_are_those_that_a_tree_has(
    events: list[Any], ascii_only: bool, spaces: tuple[str, str]
) -> None:
    events = [e for e in events if not (isinstance(e, dict) and e.get("error") is not None)]
    raw = [json.dumps(e, ensure_ascii=ascii_only, separators=spaces) for e in events]
    body = "".join(f"data: {r}\n\n" for r in raw).encode("utf-8", "surrogatepass")
    (found,) = decode([[HEAD, chunk(body), b"0\r\n\r\n"]])
    expected = [list(texts_of(json.loads(r))) for r in raw]
    everything = b"".join(utf8(t) for event in expected for t in event)
    if not ascii_only:
        everything = b"".join(
            t.encode("utf-8", "surrogatepass") for event in expected for t in event
        )
    assert found["frames"] == len(events)
    assert found["events"] == sum(any(event) for event in expected)
    assert found["text_bytes"] == len(everything)
    assert found["text_hash"] == fnv(everything)


@MANY
@given(
    text=st.text(alphabet='{}[]",:\\eEu0123456789.+-truefalsn xy\t', max_size=24),
    wrap=st.booleans(),
)
def test_what_python_refuses_is_refused(text: str, wrap: bool) -> None:
    raw = f'{{"choices":[{{"text":{text}}}]}}' if wrap else text
    try:
        # Python takes these three as numbers, which RFC 8259 does not have.
        json.loads(raw, parse_constant=lambda _: 1 / 0)
        valid = True
    except (ValueError, ZeroDivisionError):
        valid = False
    if raw.strip(" ") == "":
        valid = False
    (found,) = decode([[HEAD, chunk(f"data: {raw}\n\n".encode()), b"0\r\n\r\n"]])
    assert (found["kind"] == "malformed_json") == (not valid)


def event(text: str, **more: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "text": text, **more}]})


LONG = "".join(
    [
        f"data: {event('a')}\r\n\r\n",
        ": ping\n\n",
        f"id: 7\nretry: 10\ndata:{event('b' * 300)}\n\n",
        'data: {"choices": [{"delta":\ndata: {"content": "caf\\u00e9 \\ud83d\\ude00"}}]}\n\n',
        f"data: {event('', finish_reason='stop')}\n\n",
        'data: {"usage": {"prompt_tokens": 11, "completion_tokens": 5}, "choices": []}\n\n',
        "data: [DONE]\n\n",
    ]
).encode()
TEXT = b"a" + b"b" * 300 + "café \U0001f600".encode()
EXPECTED = {
    "kind": "ok", "status": 200, "events": 3, "frames": 6, "finished": True, "usage_prompt": 11,
    "usage_completion": 5, "text_bytes": len(TEXT), "text_hash": fnv(TEXT),
}  # fmt: skip

places = st.lists(st.integers(0, 100_000), max_size=30)


@MANY
@given(chunks=places, packets=places, extension=st.booleans(), trailer=st.booleans())
def test_any_split_gives_the_same_answer(
    chunks: list[int], packets: list[int], extension: bool, trailer: bool
) -> None:
    body = b"".join(chunk(piece) for piece in cut(LONG, chunks))
    if extension:
        body = body.replace(b"\r\n", b";name=value\r\n", 1)
    end = b"0\r\nX-Trailer: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
    chunked = cut(HEAD + body + end, packets)
    sized = cut(f"HTTP/1.1 200 OK\r\ncontent-length: {len(LONG)}\r\n\r\n".encode() + LONG, packets)
    to_close = cut(b"HTTP/1.0 200 OK\n\n" + LONG, packets)
    for found, reusable in zip(
        decode([chunked, sized, to_close]), (True, True, False), strict=True
    ):
        assert found == {**EXPECTED, "reusable": reusable}


def test_byte_by_byte() -> None:
    data = HEAD + b"".join(chunk(LONG[i : i + 1]) for i in range(len(LONG))) + b"0\r\n\r\n"
    (found,) = decode([[data[i : i + 1] for i in range(len(data))]])
    assert found == {**EXPECTED, "reusable": True}


@MANY
@given(st.data())
def test_a_response_cut_anywhere_is_truncated_and_nothing_else(data: st.DataObject) -> None:
    whole = HEAD + chunk(LONG) + b"0\r\n\r\n"
    at = data.draw(st.integers(0, len(whole) - 1))
    (found,) = decode([[whole[:at]]])
    assert found["kind"] == ("reset" if at == 0 else "truncated")


@MANY
@given(
    st.lists(st.lists(st.binary(max_size=60), max_size=6), max_size=4),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=3)), max_size=4),
    places,
)
def test_hostile_bytes_end_in_an_error_by_kind(
    noise: list[list[bytes]], edits: list[tuple[int, bytes]], packets: list[int]
) -> None:
    edited = bytearray(HEAD + chunk(LONG) + b"0\r\n\r\n")
    for at, replacement in edits:
        edited[at % len(edited) : at % len(edited) + len(replacement)] = replacement
    found = decode([*noise, [HEAD, *noise[0]] if noise else [], cut(bytes(edited), packets)])
    assert len(found) == len(noise) + 2
    for pieces, one in zip(noise, found, strict=False):
        assert one["kind"] != "ok" or any(pieces)


def test_interim_responses_and_lengths() -> None:
    body = f"data: {event('x')}\n\ndata: [DONE]\n\n".encode()
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    close = b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, close\r\nContent-Length: %d\r\n\r\n"
    excess = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    found = decode(
        [
            [interim + HEAD + chunk(body) + b"0\r\n\r\n"],
            [close % len(body) + body],
            [excess % len(body) + body + b"more"],
            [HEAD + b"fffffffffffffffff\r\n"],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 12, 12\r\n\r\n"],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
            [b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70000],
            [HEAD + chunk(f"data: {event('no blank line')}\ndata: [DONE]".encode()) + b"0\r\n\r\n"],
            [HEAD + chunk(f"data: {event('a')}\n\ndata: [DONE]".encode()) + b"0\r\n\r\n"],
            [HEAD + chunk(f"data: {event('a')}\n\n".encode()) + b"0\r\n\r\n"],
            [HEAD + chunk(b"data: " + b"[" * 65 + b"]" * 65 + b"\n\n")],
        ]
    )
    assert [(one["kind"], one["reusable"]) for one in found] == [
        ("ok", True),
        ("ok", False),
        ("ok", False),
        ("malformed_chunk", False),
        ("malformed_http", False),
        ("malformed_http", False),
        ("malformed_http", False),
        ("malformed_json", False),  # two data lines of one event, joined
        ("ok", True),
        ("truncated", True),  # complete for HTTP, but nothing said that it was for the model
        ("malformed_json", False),
    ]


def test_every_form() -> None:
    tgi = (
        b'data:{"index":1,"token":{"id":5,"text":" a","logprob":-0.5,"special":false},'
        b'"generated_text":null,"details":null}\n\n'
        b'data:{"index":2,"token":{"id":2,"text":"</s>","logprob":0,"special":true},'
        b'"generated_text":" a","details":{"finish_reason":"eos_token","generated_tokens":2,'
        b'"input_length":4,"seed":null}}\n\n'
    )
    llama = (
        b'data: {"index":0,"content":" a","tokens":[5],"stop":false,"tokens_predicted":1}\n\n'
        b'data: {"index":0,"content":"","tokens":[],"stop":true,"tokens_predicted":1,'
        b'"tokens_evaluated":4,"timings":{"predicted_n":1}}\n\n'
    )
    found = decode([[HEAD + chunk(body) + b"0\r\n\r\n"] for body in (tgi, llama)])
    pairs = [(f["kind"], f["events"], f["usage_prompt"], f["usage_completion"]) for f in found]
    assert pairs == [("ok", 2, 4, 2), ("ok", 1, 4, 1)]
