"""Small servers for tests of engines: well-behaved, slow, dying, rude. Run as programs.

`tgi` is an emulation of Text Generation Inference by its published OpenAPI description, not
the server itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

TGI_INFO = {
    "model_id": "emulated/model",
    "model_sha": "abc",
    "max_concurrent_requests": 2,
    "max_best_of": 2,
    "max_stop_sequences": 4,
    "max_input_tokens": 1024,
    "max_total_tokens": 2048,
    "validation_workers": 2,
    "max_client_batch_size": 4,
    "router": "text-generation-router",
    "version": "2.4.1",
    "docker_label": None,
}


class OpenAi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "house-made/1.0"
    sys_version = ""
    answers: ClassVar[Mapping[str, tuple[int, bytes]]] = {
        "/health": (200, b"ok"),
        "/v1/models": (200, json.dumps({"object": "list", "data": [{"id": "house"}]}).encode()),
    }

    def do_GET(self):
        status, body = self.answers.get(self.path, (404, b"{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Tgi(OpenAi):
    server_version = "emulated-tgi"
    answers: ClassVar = {"/health": (200, b""), "/info": (200, json.dumps(TGI_INFO).encode())}


class SickTgi(OpenAi):
    answers: ClassVar = {
        "/health": (503, b'{"error":"unhealthy","error_type":"healthcheck"}'),
        "/info": Tgi.answers["/info"],
    }


class Garbage(OpenAi):
    answers: ClassVar = dict.fromkeys(
        ("/health", "/v1/models", "/info", "/version"), (200, b"<html>hello</html>")
    )


def serve(handler, port: int) -> None:
    ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()


def rude(port: int) -> None:
    """Answers every connection with something that is not HTTP."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.close()


def silent(port: int) -> None:
    """Accepts and never answers."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        kept = []
        while True:
            kept.append(listener.accept())


def stubborn(port: int) -> None:
    """Ignores SIGTERM, and so do a child and a daemonised grandchild."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sh", "-c", "setsid sleep 600 & setsid sh -c 'sleep 600 & wait' &"])
    serve(OpenAi, port)


def no_reuse(port: int) -> None:
    """Sets no reuse option, unlike usual servers."""
    ThreadingHTTPServer.allow_reuse_address = False
    serve(OpenAi, port)


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "dies":
        print("loading model\nfatal: no such weights", file=sys.stderr)
        sys.exit(3)
    elif kind == "crashes":
        print("about to crash", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "slow":
        print("still loading", file=sys.stderr, flush=True)
        time.sleep(600)
    elif kind in {"rude", "silent", "stubborn", "no_reuse"}:
        globals()[kind](port)
    else:
        serve({"openai": OpenAi, "tgi": Tgi, "sick": SickTgi, "garbage": Garbage}[kind], port)
