"""`tgi:URL`: a running Text Generation Inference server, natively or by its OpenAI route.

By its published OpenAPI description: GET /health (200 or 503), GET /info (`model_id`,
`version`, `max_concurrent_requests`, ...), POST /generate_stream (events with `index` and
`token`, the last with `generated_text`, and `details` when asked), POST /v1/chat/completions;
429 when it is overloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kernleap.workload.serving.engines.attach import (
    address_problem,
    ask,
    attached,
    not_that_engine,
    tree_root,
)
from kernleap.workload.serving.engines.base import (
    Form,
    ServeOptions,
    Serving,
    register,
)
from kernleap.workload.serving.engines.http import parse_address

_RECORDED = (
    "model_sha",
    "model_dtype",
    "max_concurrent_requests",
    "max_input_tokens",
    "max_total_tokens",
    "router",
    "sha",
    "docker_label",
)
"""Of /info, what is kept where it is given."""


@register
class Tgi:
    """A TGI server that someone else started. It is left as it is found."""

    name = "tgi"
    argument_hint = "http://HOST:PORT of a running server"

    def check_argument(self, argument: str) -> str | None:
        """There must be a URL."""
        return address_problem(self.name, argument)

    @contextmanager
    def serve(self, argument: str, options: ServeOptions) -> Iterator[Serving]:
        """Check that it is healthy and is TGI, and record what it says of itself."""
        address = parse_address(argument, f"tgi:{argument}")
        ask(address, "/health", "TGI")
        reply = ask(address, "/info", "TGI")
        info = reply.object() or {}
        model, version = info.get("model_id"), info.get("version")
        if not isinstance(model, str) or not isinstance(version, str):
            raise not_that_engine("TGI", f"{address}/info", "its model_id and version", reply)
        # The launcher is the parent of the router, which listens, and of the model's shards.
        root = tree_root(address, lambda name: name.startswith("text-generation"))
        form = options.form or Form.TGI
        yield attached(
            self.name, version, address, form=form, model=model, root=root,
            one_event_per_token=True,
            more={k: str(info[k]) for k in _RECORDED if info.get(k) is not None},
        )  # fmt: skip
