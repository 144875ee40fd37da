"""`openai:URL`: any running server with the OpenAI interface (SGLang, Ollama, one's own)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kernleap.workload.serving.engines.attach import (
    address_problem,
    ask,
    attached,
    served_model,
    tree_root,
)
from kernleap.workload.serving.engines.base import (
    Form,
    ServeOptions,
    Serving,
    register,
)
from kernleap.workload.serving.engines.http import parse_address


@register
class OpenAi:
    """A server that someone else started. It is left as it is found."""

    name = "openai"
    argument_hint = "http://HOST:PORT of a running server"

    def check_argument(self, argument: str) -> str | None:
        """There must be a URL."""
        return address_problem(self.name, argument)

    @contextmanager
    def serve(self, argument: str, options: ServeOptions) -> Iterator[Serving]:
        """Check that it answers as such a server does."""
        address = parse_address(argument, f"openai:{argument}")
        model = served_model(address, "OpenAI-compatible")
        root = tree_root(address)
        form = options.form or Form.OPENAI_COMPLETIONS
        server = ask(address, "/v1/models", "OpenAI-compatible").server
        yield attached(self.name, server or "unknown", address, form=form, model=model, root=root)
