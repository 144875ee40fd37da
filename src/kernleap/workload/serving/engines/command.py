"""`command:LINE`: a house-made server, started by its command line, ended with its tree."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.workload.serving.engines.attach import served_model
from kernleap.workload.serving.engines.base import (
    EngineFacts,
    Form,
    ServeOptions,
    Serving,
    register,
)
from kernleap.workload.serving.engines.readiness import Launch, started
from kernleap.workload.serving.engines.redact import redacted

_READY_PATHS = ("/health", "/v1/models", "/")


@register
class Command:
    """A command line with `{port}`; words as a shell splits them, but no shell runs."""

    name = "command"
    argument_hint = "a command line with {port}, for example `command:./serve --port {port}`"

    def check_argument(self, argument: str) -> str | None:
        """It must split into words, and say where the port goes."""
        try:
            words = shlex.split(argument)
        except ValueError as error:
            return f"the command line cannot be split into words: {error}"
        if not words:
            return "`command` needs a command line"
        if "{port}" not in argument:
            return "the command line does not say where the port goes: {port}"
        return None

    @contextmanager
    def serve(self, argument: str, options: ServeOptions) -> Iterator[Serving]:
        """Start it on a free port, wait until it is ready, end it with the context."""
        words = shlex.split(argument)
        # Relative to where the user is, not to the directory it is started in.
        program = shutil.which(words[0])
        if program is None:
            raise UsageError(
                f"there is no program {words[0]}",
                where=f"command:{argument}",
                next_step="give its path, or a name that is in PATH",
            )
        here = str(Path.cwd())

        def argv(port: int, _directory: Path) -> Sequence[str]:
            filled = [word.replace("{port}", str(port)) for word in words[1:]]
            return [str(Path(program).absolute()), *filled, *options.extra_arguments]

        paths = (options.ready_path,) if options.ready_path else _READY_PATHS
        launch = Launch(f"command:{words[0]}", argv, paths, cwd=Path(here))
        with started(launch, options) as (process, address):
            form = options.form or Form.OPENAI_COMPLETIONS
            try:
                model = known = served_model(address, self.name)
            except InfrastructureError:
                # It need not list models to serve one; requests must name something.
                model, known = options.model, "unknown"
            yield Serving(
                address=address,
                form=form,
                model_name=model,
                process=process,
                tree_root=process.tree_root,
                facts=EngineFacts(
                    engine=self.name,
                    version="unknown",
                    managed=True,
                    address=str(address),
                    form=form,
                    model_name=known,
                    command_line=redacted(process.argv),
                    pids=tuple(process.pids()),
                ),
            )
