"""A streaming server that spends a known share of its CPU time in the kernel. Run as a program.

    known_share_server.py PORT SHARE [--spin] [--truth FILE]

A token costs about 2 ms of CPU: reads of /dev/zero (kernel) and a loop (user), as many of each as
give SHARE by a calibration in CPU time at the start. Lengths vary from token to token, so that
tokens are not in step with the timer tick. One thread, one connection at a time. With --spin a
second thread burns CPU all the time.

With --truth it writes what it really did after each token, a line of three numbers, sums since the
start: CLOCK_MONOTONIC, its thread's CPU time in system calls that move data, and all of its CPU
time; nanoseconds, by the scheduler's exact clock (CLOCK_THREAD_CPUTIME_ID).
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

TOKEN_S = 0.002
BUFFER = bytearray(1 << 21)
ZERO = os.open("/dev/zero", os.O_RDONLY)
MODELS = json.dumps({"data": [{"id": "known"}]}).encode()
EVENT = b"data: " + json.dumps({"choices": [{"index": 0, "text": "x"}]}).encode() + b"\n\n"


spent = {"kernel": 0}


def kernel(times: int) -> None:
    buffers = [BUFFER]
    for _ in range(times):
        before = time.thread_time_ns()
        os.preadv(ZERO, buffers, 0)
        spent["kernel"] += time.thread_time_ns() - before


def user(times: int) -> None:
    x = 0
    for i in range(times):
        x ^= i


def cost_s(work, times: int) -> float:
    """CPU seconds of one unit, the least of several tries."""
    found = []
    for _ in range(9):
        before = time.thread_time()
        work(times)
        found.append((time.thread_time() - before) / times)
    return sorted(found)[len(found) // 2]


def main(port: int, share: float, spin: bool, truth: str | None) -> None:
    log = os.open(truth, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if truth else None
    kernel(20)
    reads = TOKEN_S * share / cost_s(kernel, 20)
    loops = TOKEN_S * (1 - share) / cost_s(user, 100_000)
    chance = random.Random(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in ("/health", "/v1/models") else 404)
            self.send_header("Content-Length", str(len(MODELS)))
            self.end_headers()
            self.wfile.write(MODELS)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(body["max_tokens"]):
                length = chance.uniform(0.5, 1.5)
                whole, part = divmod(reads * length, 1)
                kernel(int(whole) + (chance.random() < part))
                user(int(loops * length))
                self.send_event()
            self.wfile.write(b"data: [DONE]\n\n")

        def send_event(self):
            before = time.thread_time_ns()
            self.wfile.write(EVENT)
            now = time.thread_time_ns()
            spent["kernel"] += now - before
            if log is not None:
                os.write(log, f"{time.monotonic_ns()} {spent['kernel']} {now}\n".encode())

        def log_message(self, *words):
            pass

    def burn() -> None:
        while True:
            user(100_000)

    if spin:
        threading.Thread(target=burn, daemon=True).start()
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    file = sys.argv[sys.argv.index("--truth") + 1] if "--truth" in sys.argv else None
    main(int(sys.argv[1]), float(sys.argv[2]), "--spin" in sys.argv, file)
