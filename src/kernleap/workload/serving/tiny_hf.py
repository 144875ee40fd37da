"""The tiny model for engines that read Hugging Face directories: a config and a tokenizer.

There are no weights: the engine is told to make them up (`--load-format dummy`). One printable
character is one token, as in the GGUF of the same name. Heads are 64 wide, the smallest that
attention kernels for CPUs take everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path

from kernleap import paths
from kernleap.kernel.cache import write_atomically
from kernleap.model.errors import InfrastructureError

_SPECIAL = ("<unk>", "<s>", "</s>")
_CHARACTERS = tuple(chr(code) for code in range(0x20, 0x7F))
CONTEXT = 8192


def tiny_directory() -> Path:
    """The directory in the cache, made if it is not there."""
    target = paths.cache_dir() / "models" / "tiny-hf"
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in _files().items():
            data = json.dumps(content, indent=1).encode()
            path = target / name
            if not path.is_file() or path.read_bytes() != data:
                write_atomically(path, data, target)
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the tiny model: {error.strerror or error}", where=str(target)
        ) from error
    return target


def _files() -> dict[str, object]:
    tokens = (*_SPECIAL, *_CHARACTERS)
    # As many as a multiple of 64, which vectorised code likes; the rest is never decoded to text.
    vocabulary = -(-len(tokens) // 64) * 64
    names = (*tokens, *(f"<unused{i}>" for i in range(vocabulary - len(tokens))))
    special = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, token in enumerate(_SPECIAL)
    ]
    return {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 64,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "vocab_size": vocabulary,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        },
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": special,
            "normalizer": None,
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {"type": "Fuse"},
            "model": {
                "type": "BPE",
                "unk_token": "<unk>",
                "vocab": {name: number for number, name in enumerate(names)},
                "merges": [],
            },
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT,
            "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
        },
    }
