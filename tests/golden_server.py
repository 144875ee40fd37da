"""A streaming server that knows, and records, when it sent what.

It runs in its own process (the test's interpreter would delay it), on 127.0.0.1, with one thread
a connection and CLOCK_MONOTONIC of the same machine. The behaviour of a request is named by its
path: `/slow-first?n=5&gap_ms=10`. What was sent when goes to a file of JSON lines that the test
reads after the load: one line for each request, with the time *before* each send of a token
(`tokens`), that of its end (`end`) and when its request had been read (`received`), in nanoseconds.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

now = time.monotonic_ns


def event(text: str) -> bytes:
    body = {"object": "text_completion", "choices": [{"index": 0, "text": text}]}
    return f"data: {json.dumps(body)}\n\n".encode()


def last(tokens: int) -> bytes:
    body = {
        "choices": [{"index": 0, "text": "", "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": tokens},
    }
    return f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode()


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Close(Exception):  # noqa: N818
    """Ends the connection in an orderly way."""


class Request:
    """One request on a connection, and its record."""

    def __init__(self, peer: socket.socket, query: dict[str, str], number: int) -> None:
        self.peer = peer
        self.n = int(query.get("n", "8"))
        self.gap_s = float(query.get("gap_ms", "5")) / 1e3
        self.stall_s = float(query.get("stall_ms", "300")) / 1e3
        self.number = number
        self.record: dict[str, Any] = {"received": now(), "tokens": [], "end": 0}

    def send(self, data: bytes) -> None:
        self.peer.sendall(data)

    def token(self, frame: Callable[[bytes], bytes] = chunk, text: str = " a") -> None:
        data = frame(event(text))
        self.record["tokens"].append(now())
        self.send(data)

    def finish(self) -> None:
        data = chunk(last(self.n)) + b"0\r\n\r\n"
        self.record["end"] = now()
        self.send(data)


def normal(r: Request) -> None:
    r.send(HEAD)
    for i in range(r.n):
        if i:
            time.sleep(r.gap_s)
        r.token()
    time.sleep(r.gap_s)
    r.finish()


def slow_first(r: Request) -> None:
    r.send(HEAD)
    time.sleep(r.stall_s)
    for i in range(r.n):
        if i:
            time.sleep(r.gap_s)
        r.token()
    r.finish()


def stall(r: Request) -> None:
    r.send(HEAD)
    for i in range(r.n):
        time.sleep(r.stall_s if i == r.n // 2 else r.gap_s)
        r.token()
    r.finish()


def merged(r: Request) -> None:
    """All tokens, the end included, in one write."""
    at = now()
    r.record["tokens"] = [at] * r.n
    r.record["end"] = at
    events = b"".join(event(" a") for _ in range(r.n))
    r.send(HEAD + chunk(events + last(r.n)) + b"0\r\n\r\n")


def split(r: Request) -> None:
    """Each token byte by byte: it is there when its last byte is."""
    r.send(HEAD)
    for i in range(r.n):
        data = chunk(event(" é\U0001f600"))
        for at in range(len(data)):
            # The event is complete with its second newline, before the CRLF of the chunk.
            if at == len(data) - 3:
                r.record["tokens"].append(now())
            r.send(data[at : at + 1])
            if at % 40 == i:
                time.sleep(0.0005)
        time.sleep(r.gap_s)
    r.finish()


def until_close(r: Request) -> None:
    """Neither chunks nor a length: the close ends it."""
    r.send(CLOSE_HEAD)
    for _ in range(r.n):
        r.token(lambda data: data)
        time.sleep(r.gap_s)
    r.record["end"] = now()
    r.send(last(r.n))
    raise Close


def mid_close(r: Request) -> None:
    r.send(HEAD)
    r.token()
    time.sleep(r.gap_s)
    raise Close


def mid_close_unframed(r: Request) -> None:
    """The same without chunks: only the missing mark of completion tells."""
    r.send(CLOSE_HEAD)
    r.token(lambda data: data)
    raise Close


def mid_reset(r: Request) -> None:
    r.send(HEAD)
    r.token()
    time.sleep(0.05)
    r.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Close


def bad_chunk(r: Request) -> None:
    r.send(HEAD)
    r.token()
    r.send(b"zz\r\nnot a chunk\r\n")
    time.sleep(5)


def bad_chunk_end(r: Request) -> None:
    """A chunk that is longer than it says."""
    r.send(HEAD)
    r.token()
    r.send(b"5\r\ndata: more\r\n")
    time.sleep(5)


def short_length(r: Request) -> None:
    """Promises more bytes than come before the close."""
    body = event(" a")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: "
    r.send(head + str(len(body) + 100).encode() + b"\r\n\r\n" + body)
    raise Close


def bad_json(r: Request) -> None:
    r.send(HEAD)
    r.token()
    r.send(chunk(b'data: {"choices": [{"text": " a"}\n\n'))
    time.sleep(5)


def bad_head(r: Request) -> None:
    r.send(b"SMTP 220 ready when you are\r\n\r\n")
    time.sleep(5)


def error_event(r: Request) -> None:
    r.send(HEAD)
    r.token()
    r.send(chunk(b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'))
    time.sleep(5)


def tgi_error(r: Request) -> None:
    r.send(HEAD)
    r.send(chunk(b'event: error\ndata:{"error":"overloaded","error_type":"overloaded"}\n\n'))
    time.sleep(5)


def no_tokens(r: Request) -> None:
    r.n = 0
    r.send(HEAD)
    r.finish()


def huge_event(r: Request) -> None:
    r.send(HEAD)
    for _ in range(40):
        r.send(chunk(b"x" * 65536))
    time.sleep(5)


def silent(r: Request) -> None:
    time.sleep(30)


def silent_after_head(r: Request) -> None:
    r.send(HEAD)
    time.sleep(30)


def silent_after_token(r: Request) -> None:
    r.send(HEAD)
    r.token()
    time.sleep(30)


def trickle(r: Request) -> None:
    """Comments for ever: only the limit of the whole request ends it."""
    r.send(HEAD)
    while True:
        r.send(chunk(b": ping\n\n"))
        time.sleep(0.05)


def status(code: int, words: str) -> Callable[[Request], None]:
    def behaviour(r: Request) -> None:
        body = b'{"error": "because"}'
        head = f"HTTP/1.1 {code} {words}\r\nContent-Length: {len(body)}\r\n\r\n"
        r.record["end"] = now()
        r.send(head.encode() + body)

    return behaviour


def closes_idle(r: Request) -> None:
    """Promises to keep the connection, and closes it a little later."""
    normal(r)
    raise Close


def closes_on_reuse(r: Request) -> None:
    """Serves one request a connection; at the next it closes when the request has come."""
    if r.number:
        raise Close
    normal(r)


def reply_at_once(r: Request) -> None:
    r.gap_s = 0
    normal(r)


BEHAVIOURS: dict[str, Callable[[Request], None]] = {
    f.__name__.replace("_", "-"): f
    for f in (
        normal, slow_first, stall, merged, split, until_close, mid_close, mid_close_unframed,
        mid_reset, bad_chunk, bad_chunk_end, short_length, bad_json, bad_head, error_event,
        tgi_error, no_tokens, huge_event, silent, silent_after_head, silent_after_token, trickle,
        closes_idle, closes_on_reuse, reply_at_once,
    )
}  # fmt: skip
BEHAVIOURS |= {
    "429": status(429, "Too Many Requests"),
    "500": status(500, "Internal Server Error"),
    "404": status(404, "Not Found"),
    "301": status(301, "Moved Permanently"),
}


class Server:
    """`one_at_a_time`: a lock around the work, as an engine without batching has."""

    def __init__(self, log: Path, one_at_a_time: bool, freeze: tuple[float, float] | None) -> None:
        self.log = log.open("w")
        self.lock = threading.Lock()
        self.work = threading.Lock() if one_at_a_time else None
        self.freeze = freeze
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def serve(self) -> None:
        self.began = time.monotonic()
        print(self.listener.getsockname()[1], flush=True)
        while True:
            peer, _ = self.listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer: socket.socket) -> None:
        number = 0
        try:
            with peer:
                while self.answer(peer, number):
                    number += 1
        except (OSError, Close):
            pass

    def answer(self, peer: socket.socket, number: int) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = peer.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += peer.recv(65536)
        json.loads(body)  # a request that is no JSON is a defect of the driver: ends the connection
        url = urlsplit(head.split(b" ")[1].decode())
        request = Request(peer, dict(parse_qsl(url.query)), number)
        request.record["head"] = head.decode()
        request.record["body"] = body.decode()
        try:
            if self.work is None:
                BEHAVIOURS[url.path.strip("/")](request)
            else:
                with self.work:
                    self.maybe_freeze(request.record)
                    BEHAVIOURS[url.path.strip("/")](request)
        finally:
            with self.lock:
                print(json.dumps(request.record), file=self.log, flush=True)
        return True

    def maybe_freeze(self, record: dict[str, Any]) -> None:
        if self.freeze and time.monotonic() - self.began > self.freeze[0]:
            stop, self.freeze = self.freeze[1], None
            begin = now()
            time.sleep(stop)
            record["frozen"] = [begin, now()]


@dataclass
class Golden:
    """A running golden server."""

    port: int
    log: Path

    def records(self, count: int) -> list[dict[str, Any]]:
        """What it sent, `count` requests, in the order in which they ended."""
        deadline = time.monotonic() + 5
        # The last line is written after the last byte was sent.
        while (text := self.log.read_text()).count("\n") < count and time.monotonic() < deadline:
            time.sleep(0.01)
        lines = text.splitlines()
        assert len(lines) == count
        return [json.loads(line) for line in lines]


@contextmanager
def golden_server(
    directory: Path, *, one_at_a_time: bool = False, freeze: tuple[float, float] | None = None
) -> Iterator[Golden]:
    """A golden server for the time of the block.

    `freeze`: once so many seconds after its start, for so many seconds, no request is worked on.
    """
    log = directory / "golden.jsonl"
    options = json.dumps({"one_at_a_time": one_at_a_time, "freeze": freeze})
    process = subprocess.Popen(
        [sys.executable, __file__, str(log), options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Golden(int(process.stdout.readline()), log)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    settings = json.loads(sys.argv[2])
    Server(Path(sys.argv[1]), settings["one_at_a_time"], settings["freeze"]).serve()
