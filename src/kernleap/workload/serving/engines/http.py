"""Asking a server short questions: readiness, version, models. Never the load itself.

Time and size are bounded, and an answer that is not what it should be says what it was.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kernleap.model.errors import UsageError

_MAX_BODY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. `prefix` is a path without a slash at its end, often empty."""

    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.prefix}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine by its loopback address."""
        return self.host == "localhost" or self.host.startswith("127.") or self.host == "::1"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; `server` is its Server header."""

    status: int
    body: bytes
    server: str = ""

    def object(self) -> dict[str, Any] | None:
        """The JSON object in the body, None if it is anything else."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


class NoReplyError(Exception):
    """Nothing that could be called an HTTP answer came; says why."""


def parse_address(text: str, where: str) -> Address:
    """Read `http://HOST[:PORT][/PREFIX]`.

    Raises:
        UsageError: it is no such URL. `https` is refused: encryption would be part of every
            figure, and on the driver's side too.
    """
    parts = urlsplit(text if "//" in text else f"http://{text}")
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if parts.scheme == "https":
        raise UsageError(
            "an engine behind https cannot be measured",
            where=where,
            cause="the load driver speaks plain HTTP, so that encryption is no part of the figures",
            next_step="give the address behind the proxy: http://HOST:PORT",
        )
    if parts.scheme != "http" or not host or parts.query or parts.username:
        raise UsageError(
            f"`{text}` is not the address of an engine",
            where=where,
            next_step="give http://HOST:PORT, for example http://127.0.0.1:8000",
        )
    prefix = parts.path.rstrip("/")
    return Address(host, port, prefix.removesuffix("/v1"))


def get(address: Address, path: str, time_limit_s: float = 5.0) -> Reply:
    """GET `path` below the address.

    Raises:
        NoReplyError: no connection, no answer in time, or an answer that is not HTTP.
    """
    connection = http.client.HTTPConnection(address.host, address.port, timeout=time_limit_s)
    try:
        connection.request("GET", address.prefix + path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_MAX_BODY_BYTES)
        return Reply(response.status, body, response.headers.get("Server", ""))
    except http.client.BadStatusLine as error:
        line = str(error).strip("'\"")[:80]
        what = f"an answer that is not HTTP: {line!r}" if line else "hung up without an answer"
        raise NoReplyError(what) from error
    except (http.client.HTTPException, ValueError) as error:
        raise NoReplyError(f"an answer that is not HTTP ({type(error).__name__})") from error
    except TimeoutError as error:
        raise NoReplyError(f"no answer within {time_limit_s:g} s") from error
    except socket.gaierror as error:
        raise NoReplyError(f"the host is not known: {address.host}") from error
    except OSError as error:
        raise NoReplyError(error.strerror or str(error)) from error
    finally:
        connection.close()
