"""The tiny model: a llama-architecture transformer of random 4-bit weights, made on the spot.

It is real to the engine (attention, KV cache, sampling, detokenising) and costs almost no
arithmetic, so that what the kernel does for a token shows. Its text is nonsense on purpose.

Made so that a request for N tokens gives exactly N tokens and N events:
- Dimension 0 of the residual stream is a positive constant: every embedding has the same there,
  and no layer writes to it (row 0 of what layers add is zero).
- The output row of each token that is no printable character is zero but for a large negative
  weight on that dimension. Control tokens, bytes (which could form half a character, held back
  by the server) and padding are thereby never sampled, at any usual temperature.
- One printable character is one token, so a prompt of n characters is n tokens, and one for
  the start.

Every byte comes from SHAKE-256 and integers, so all machines make the same file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from kernleap.workload.serving.gguf import BOOL, F32, FLOAT32, Q4_0, STRING, UINT32, Tensor, encode

LAYERS = 2
DIMENSION = 64
HEADS = 4
KV_HEADS = 2
FEED_FORWARD = 192
VOCABULARY = 384
CONTEXT = 131_072
_BLOCK = 32
"""Weights that share a scale in Q4_0: 2 bytes of float16, then 16 bytes of two nibbles each.
A nibble n stands for (n - 8) * scale; byte i holds weights i (low) and i + 16 (high)."""
_ZERO = 8
_TOP = 15
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE = 1, 2, 3, 5, 6
_CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def tiny_model(seed: int = 1) -> bytes:
    """The bytes of the model; the same on every machine for the same `seed`."""
    tokens, kinds = _vocabulary()
    values = {
        "general.architecture": (STRING, "llama"),
        "general.name": (STRING, f"kernleap-tiny-{seed}"),
        "general.file_type": (UINT32, 2),
        "llama.vocab_size": (UINT32, VOCABULARY),
        "llama.context_length": (UINT32, CONTEXT),
        "llama.embedding_length": (UINT32, DIMENSION),
        "llama.block_count": (UINT32, LAYERS),
        "llama.feed_forward_length": (UINT32, FEED_FORWARD),
        "llama.attention.head_count": (UINT32, HEADS),
        "llama.attention.head_count_kv": (UINT32, KV_HEADS),
        "llama.attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5),
        "llama.rope.dimension_count": (UINT32, DIMENSION // HEADS),
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (STRING, tokens),
        "tokenizer.ggml.scores": (FLOAT32, [-float(i) for i in range(VOCABULARY)]),
        "tokenizer.ggml.token_type": (5, kinds),
        "tokenizer.ggml.bos_token_id": (UINT32, 1),
        "tokenizer.ggml.eos_token_id": (UINT32, 2),
        "tokenizer.ggml.unknown_token_id": (UINT32, 0),
        "tokenizer.ggml.add_bos_token": (BOOL, True),
        "tokenizer.ggml.add_eos_token": (BOOL, False),
        "tokenizer.ggml.add_space_prefix": (BOOL, False),
        "tokenizer.chat_template": (STRING, _CHAT),
    }
    return encode(values, list(_tensors(seed, kinds)))


def _vocabulary() -> tuple[list[str], list[int]]:
    printable = ["\u2581", *(chr(code) for code in range(0x21, 0x7F))]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *printable]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *[_NORMAL] * len(printable)]
    padding = VOCABULARY - len(tokens)
    tokens += [f"<unused{i}>" for i in range(padding)]
    return tokens, kinds + [_UNUSED] * padding


def _tensors(seed: int, kinds: list[int]) -> Iterable[Tensor]:
    kv = DIMENSION // HEADS * KV_HEADS
    ones = struct.pack(f"<{DIMENSION}f", *[1.0] * DIMENSION)
    yield _matrix(seed, "token_embd.weight", DIMENSION, VOCABULARY, scale=0.25, first=_TOP)
    yield Tensor("output_norm.weight", (DIMENSION,), F32, ones)
    yield _output(seed, kinds)
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        yield Tensor(f"{name}attn_norm.weight", (DIMENSION,), F32, ones)
        yield _matrix(seed, f"{name}attn_q.weight", DIMENSION, DIMENSION)
        yield _matrix(seed, f"{name}attn_k.weight", DIMENSION, kv)
        yield _matrix(seed, f"{name}attn_v.weight", DIMENSION, kv)
        yield _matrix(seed, f"{name}attn_output.weight", DIMENSION, DIMENSION, silent=True)
        yield Tensor(f"{name}ffn_norm.weight", (DIMENSION,), F32, ones)
        yield _matrix(seed, f"{name}ffn_gate.weight", DIMENSION, FEED_FORWARD)
        yield _matrix(seed, f"{name}ffn_up.weight", DIMENSION, FEED_FORWARD)
        yield _matrix(seed, f"{name}ffn_down.weight", FEED_FORWARD, DIMENSION, silent=True)


def _matrix(
    seed: int,
    name: str,
    columns: int,
    rows: int,
    *,
    scale: float = 1 / 64,
    first: int | None = None,
    silent: bool = False,
) -> Tensor:
    """Random weights. `first` sets weight 0 of each row; `silent` makes row 0 zero."""
    size = columns * rows // 2
    noise = hashlib.shake_256(f"kernleap tiny {seed} {name}".encode()).digest(size)
    blocks = []
    for row in range(rows):
        for block in range(columns // _BLOCK):
            start = (row * columns // _BLOCK + block) * _BLOCK // 2
            nibbles = bytearray(noise[start : start + _BLOCK // 2])
            if silent and row == 0:
                nibbles = bytearray([_ZERO << 4 | _ZERO] * len(nibbles))
            if first is not None and block == 0:
                nibbles[0] = nibbles[0] & 0xF0 | first
            blocks.append(struct.pack("<e", scale) + nibbles)
    return Tensor(name, (columns, rows), Q4_0, b"".join(blocks))


def _output(seed: int, kinds: list[int]) -> Tensor:
    """The output matrix, its rows of other than printable tokens silenced."""
    blocks_per_row = DIMENSION // _BLOCK
    width = blocks_per_row * (2 + _BLOCK // 2)
    random = _matrix(seed, "output.weight", DIMENSION, VOCABULARY, scale=1 / 16, first=_TOP)
    zeros = bytes([_ZERO << 4 | _ZERO] * (_BLOCK // 2))
    never = struct.pack("<e", 16.0) + bytes([_ZERO << 4]) + zeros[1:]  # -8 * 16 on dimension 0
    never += (struct.pack("<e", 1.0) + zeros) * (blocks_per_row - 1)
    rows = [
        random.data[i * width : (i + 1) * width] if kind == _NORMAL else never
        for i, kind in enumerate(kinds)
    ]
    return Tensor(random.name, random.shape, Q4_0, b"".join(rows))
