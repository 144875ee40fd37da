"""A server of tokens that may die while it serves. Run as a program.

    mortal_server.py PORT [--dies FILE]

A token takes 3 ms, most of it asleep. With --dies it says why, and aborts, in its 40th token,
unless FILE is there; it makes FILE before, so that its successor lives. Where FILE cannot be made
it dies every time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODELS = json.dumps({"data": [{"id": "mortal"}]}).encode()
EVENT = b"data: " + json.dumps({"choices": [{"index": 0, "text": "x"}]}).encode() + b"\n\n"


def serve(port: int, token: Path | None) -> None:
    served = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(MODELS)))
            self.end_headers()
            self.wfile.write(MODELS)

        def do_POST(self):
            nonlocal served
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(body["max_tokens"]):
                time.sleep(0.003)
                served += 1
                if served == 40 and token is not None and not token.exists():
                    with suppress(OSError):
                        token.touch()
                    print("assertion failed: the weights are gone", file=sys.stderr, flush=True)
                    os.abort()
                self.wfile.write(EVENT)
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *words):
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    dies = sys.argv.index("--dies") if "--dies" in sys.argv else 0
    serve(int(sys.argv[1]), Path(sys.argv[dies + 1]) if dies else None)
