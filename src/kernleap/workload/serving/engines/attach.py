"""Finding out about a server that runs already: what it is, what it serves, which processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.workload.serving.engines.base import EngineFacts, Form, Serving
from kernleap.workload.serving.engines.http import Address, NoReplyError, Reply, get, parse_address
from kernleap.workload.serving.engines.ports import listeners
from kernleap.workload.serving.engines.redact import redacted
from kernleap.workload.serving.proc import descendants

_RELAYS = frozenset({"docker-proxy", "rootlessport", "rootlesskit", "pasta", "slirp4netns"})
"""Processes that listen for a container and are not the server."""


def address_problem(engine: str, argument: str) -> str | None:
    """What is wrong with the address of a running server, or None."""
    if not argument:
        return f"`{engine}` needs the address of a running server"
    try:
        parse_address(argument, f"{engine}:{argument}")
    except UsageError as error:
        return error.what
    return None


def ask(address: Address, path: str, engine: str) -> Reply:
    """GET a path that the engine must have.

    Raises:
        InfrastructureError: it does not answer, not in HTTP, or not with status 200.
    """
    try:
        reply = get(address, path)
    except NoReplyError as error:
        raise InfrastructureError(
            f"no {engine} server answers: {error}",
            where=f"{address}{path}",
            cause="it is not running, is still loading, or listens elsewhere",
            next_step=f"start it, then try: curl {address}{path}",
        ) from error
    if reply.status != 200:
        raise InfrastructureError(
            f"the {engine} server answers with status {reply.status}",
            where=f"{address}{path}",
            cause=_excerpt(reply.body),
            next_step=f"wait until it is ready, then try: curl {address}{path}",
        )
    return reply


def served_model(address: Address, engine: str) -> str:
    """The id of the (first) model of an OpenAI-compatible server: GET /v1/models.

    Raises:
        InfrastructureError: it answers with something else than a list of models.
    """
    reply = ask(address, "/v1/models", engine)
    body = reply.object() or {}
    models = body.get("data")
    if isinstance(models, list):
        for model in models:
            if isinstance(model, dict) and isinstance(model.get("id"), str) and model["id"]:
                return str(model["id"])
    raise not_that_engine(engine, f"{address}/v1/models", "a list of models", reply)


def not_that_engine(engine: str, where: str, wanted: str, reply: Reply) -> InfrastructureError:
    """The error for an answer that is no such engine's."""
    return InfrastructureError(
        f"this does not look like a {engine} server: {wanted} was expected",
        where=where,
        cause=f"it answered {_excerpt(reply.body)}",
        next_step=f"check the address: curl {where}",
    )


def tree_root(address: Address, climb: Callable[[str], bool] = lambda _name: False) -> int | None:
    """The process whose tree serves a local port; None if that cannot be told from here.

    Args:
        climb: given the name of the listener's parent, whether that belongs to the server too.
    """
    if not address.is_local:
        return None
    owners = listeners(address.port)
    if not owners or any(process_name(pid) in _RELAYS for pid in owners):
        return None
    tops = {pid for pid in owners if not _ancestors(pid) & owners}
    if len(tops) > 1:  # several workers accept: their parent is the server
        parents = {_parent(pid) for pid in tops}
        if len(parents) != 1 or parents & {0, 1}:
            return None
        tops = parents
    (root,) = tops
    while (parent := _parent(root)) > 1 and climb(process_name(parent)):
        root = parent
    return root


def tree_pids(root: int | None) -> tuple[int, ...]:
    """The tree's processes, its root first."""
    return tuple(descendants(root)) if root is not None else ()


def command_line(root: int | None) -> tuple[str, ...]:
    """The command line of a process without its secrets, empty if it cannot be read."""
    if root is None:
        return ()
    try:
        words = Path(f"/proc/{root}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ()
    return redacted(word.decode("utf-8", "replace") for word in words)


def attached(
    engine: str,
    version: str,
    address: Address,
    *,
    form: Form,
    model: str,
    root: int | None,
    more: Mapping[str, str] | None = None,
    one_event_per_token: bool = False,
) -> Serving:
    """A server that someone else started, with what is known of it; `root` as of `tree_root`."""
    return Serving(
        address=address,
        form=form,
        model_name=model,
        tree_root=root,
        one_event_per_token=one_event_per_token,
        facts=EngineFacts(
            engine=engine,
            version=version,
            managed=False,
            address=str(address),
            form=form,
            model_name=model,
            command_line=command_line(root),
            pids=tree_pids(root),
            more=dict(more or {}),
        ),
    )


def process_name(pid: int) -> str:
    """A process's name (comm), "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while (pid := _parent(pid)) > 1:
        found.add(pid)
    return found


def _excerpt(body: bytes) -> str:
    text = body[:160].decode("utf-8", "replace")
    return repr(text) if text else "an empty body"
