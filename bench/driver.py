"""kernleap-load against guidellm, aiperf and wrk, within one run, at one null server.

    PYTHONPATH=src python bench/driver.py [--seconds 4] [--streams 8]
        [--guidellm VENV] [--aiperf VENV]

wrk comes from `apt-get install wrk`. The others need environments of their own:

    python -m venv VENV && VENV/bin/pip install aiperf
    python -m venv VENV && VENV/bin/pip install 'guidellm==0.3.1' 'transformers<5'

(the last release of guidellm without PyTorch; later ones work as well). Who is not there is left
out, with the reason. All ask for the same: so many streams in a closed loop, 256 tokens each,
OpenAI's chat form, over kept connections, at a null server that takes turns between streams and
shares this machine with its client, as an engine would. There are two tables:

- Each token flushed by itself, by a thread of the server for each CPU. A client that keeps up makes
  the server pay for a wakeup a token, so that the server and the kernel are the limit; one that
  falls behind finds many tokens in a read.
- 16 tokens a flush: the server can do more than any client here, and the clients are compared.

- 8 times guidellm and aiperf are due, where wrk, which only counts bytes, shows that the server has
  as much to give.

Last, what an event costs the driver where it waits for each: streams that get a token every 4 ms.
Four fifths of that are the kernel's: a wakeup, a read, and the acknowledgement that goes with it.

- tokens/s: of kernleap-load in its measured window, of guidellm and aiperf as they report it, of
  wrk its requests/s times 256 (it takes responses, not tokens: the ceiling of HTTP here).
- CPU us/token: user and system time of the client and its children. Of guidellm and aiperf it is
  the difference between a long and a short run, over the difference in tokens: without their start.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kernleap.workload.serving import driver
from kernleap.workload.serving.ceiling import null_server
from kernleap.workload.serving.load import Closed, Fixed, Form, LoadSpec

TOKENS = 256
MERGED = 16
SHORT_REQUESTS = 16
# A byte-level tokenizer without merges: both tools want one, and none may be downloaded.
TOKENIZER = """
import json, pathlib, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate([*letters, "</s>"])}, []))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
home = pathlib.Path(sys.argv[1])
home.mkdir(exist_ok=True)
tokenizer.save(str(home / "tokenizer.json"))
settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
(home / "tokenizer_config.json").write_text(json.dumps(settings))
"""


@dataclass(frozen=True)
class Row:
    """One client's figures."""

    client: str
    tokens_per_second: float
    cpu_us_per_token: float


class Skip(Exception):  # noqa: N818 - it is no error
    """This client cannot run here; says why."""


def of_kernleap(port: int, streams: int, seconds: float, name: str = "kernleap-load") -> Row:
    """Ours."""
    spec = LoadSpec(
        Closed(streams), prompt=Fixed(8), output=Fixed(TOKENS), form=Form.CHAT,
        duration_s=seconds, warmup_s=0.5,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        result = driver.run(spec, driver.Target(port, model="null"), Path(scratch))
    assert result.cpu_us_per_event is not None, result.measured
    return Row(name, result.tokens_in_window / result.window_s, result.cpu_us_per_event)


def measured(argv: list[str], home: Path) -> tuple[str, float]:
    """What a command printed, and the CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "COLUMNS": "200", "HOME": str(home)}
    # In a directory of its own: aiperf takes a local tokenizer only by a path like a name.
    done = subprocess.run(
        argv, cwd=home, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Skip(f"it ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, used


def of_wrk(port: int, streams: int, seconds: float) -> Row:
    """wrk's rate of whole responses, in tokens."""
    wrk = shutil.which("wrk")
    if not wrk:
        raise Skip("not installed: apt-get install wrk")
    body = {"model": "null", "stream": True, "max_tokens": TOKENS, "messages": []}
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "post.lua"
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = {json.dumps(json.dumps(body, separators=(',', ':')))}\n"
        )
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        argv = [wrk, "-t1", f"-c{streams}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
        text, used = measured(argv, Path(scratch))
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    count = re.search(r"(\d+) requests in", text)
    if not rate or not count:
        raise Skip(f"its output is not understood: {text[-200:]}")
    tokens = int(count[1]) * TOKENS
    return Row("wrk (whole responses)", float(rate[1]) * TOKENS, used / tokens * 1e6)


def of_tool(
    name: str, venv: Path | None, seconds: float, once: Callable[[int, Path], tuple[float, float]]
) -> Row:
    """A tool in a virtual environment: once for a little, once for long."""
    if venv is None:
        raise Skip(f"no environment given: --{name} VENV")
    if not (venv / "bin" / name).exists():
        raise Skip(f"there is no {name} in {venv}: VENV/bin/pip install {name}")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        subprocess.run(
            [venv / "bin/python", "-c", TOKENIZER, home / "tok"], check=True, capture_output=True
        )
        rate, short = once(SHORT_REQUESTS, home)
        requests = max(4 * SHORT_REQUESTS, round(seconds * max(rate, 10_000) / TOKENS))
        rate, long = once(requests, home)
    return Row(name, rate, (long - short) / ((requests - SHORT_REQUESTS) * TOKENS) * 1e6)


def of_guidellm(port: int, streams: int, seconds: float, venv: Path | None) -> Row:
    """guidellm 0.3's benchmark with synthetic prompts."""

    def once(requests: int, home: Path) -> tuple[float, float]:
        output = home / "guidellm.json"
        argv = [
            f"{venv}/bin/guidellm", "benchmark", "--target", f"http://127.0.0.1:{port}", "--model",
            "null", "--rate-type", "concurrent", "--rate", str(streams), "--max-requests",
            str(requests), "--data", f"prompt_tokens=8,output_tokens={TOKENS}", "--processor",
            str(home / "tok"), "--output-path", str(output), "--disable-progress",
        ]  # fmt: skip
        _, used = measured(argv, home)
        metrics = json.loads(output.read_text())["benchmarks"][0]["metrics"]
        return float(metrics["output_tokens_per_second"]["successful"]["mean"]), used

    return of_tool("guidellm", venv, seconds, once)


def of_aiperf(port: int, streams: int, seconds: float, venv: Path | None) -> Row:
    """aiperf's profile with synthetic prompts and the server's counts of tokens."""

    def once(requests: int, home: Path) -> tuple[float, float]:
        argv = [
            f"{venv}/bin/aiperf", "profile", "-m", "null", "-u", f"http://127.0.0.1:{port}",
            "--endpoint-type", "chat", "--streaming", "--concurrency", str(streams),
            "--request-count", str(requests), "--tokenizer", "tok", "--isl", "8", "--osl",
            str(TOKENS), "--ui", "none", "--artifact-dir", str(home / "out"),
            "--use-server-token-count",
        ]  # fmt: skip
        _, used = measured(argv, home)
        report = json.loads((home / "out" / "profile_export_aiperf.json").read_text())
        return float(report["output_token_throughput"]["avg"]), used

    return of_tool("aiperf", venv, seconds, once)


def main() -> int:
    """Prints the table; 1 if a bound of the project is missed by what could run."""
    parser = argparse.ArgumentParser(description="the load driver against others")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--guidellm", type=Path)
    parser.add_argument("--aiperf", type=Path)
    options = parser.parse_args()
    streams, seconds = options.streams, options.seconds
    venvs = [path and path.absolute() for path in (options.guidellm, options.aiperf)]
    found = []
    for merge in (1, MERGED):
        rows: dict[str, Row] = {}
        with null_server(merge=merge) as port:
            clients: list[tuple[str, Callable[[], Row]]] = [
                ("kernleap-load", partial(of_kernleap, port, streams, seconds)),
                ("wrk", partial(of_wrk, port, streams, seconds)),
                ("guidellm", partial(of_guidellm, port, streams, seconds, venvs[0])),
                ("aiperf", partial(of_aiperf, port, streams, seconds, venvs[1])),
                ("again", partial(of_kernleap, port, streams, seconds, "kernleap-load, again")),
            ]
            print(f"\n{streams} streams of {TOKENS} tokens, {merge} a flush, {os.cpu_count()} CPUs")
            print(f"{'client':<24}{'tokens/s':>12}{'CPU us/token':>14}")
            for name, client in clients:
                try:
                    rows[name] = row = client()
                except (Skip, subprocess.TimeoutExpired) as reason:
                    print(f"{name:<24} left out: {reason}")
                    continue
                print(
                    f"{row.client:<24}{row.tokens_per_second:>12,.0f}{row.cpu_us_per_token:>14.2f}"
                )
                time.sleep(0.5)
        found += list(bounds(rows))
    paced(seconds)
    return 0 if all(found) else 1


def paced(seconds: float) -> None:
    """What an event costs at a server that takes its time."""
    print("\none token every 4 ms and stream")
    for streams in (1, 8, 64, 256):
        with null_server(interval_ns=4_000_000) as port:
            row = of_kernleap(port, streams, seconds)
        print(f"{streams:>4} streams {row.tokens_per_second:>12,.0f}{row.cpu_us_per_token:>14.2f}")


def bounds(rows: dict[str, Row]) -> Iterator[bool]:
    """Each bound, printed with what was found."""
    ours = (rows["kernleap-load"].tokens_per_second + rows["again"].tokens_per_second) / 2
    cost = max(rows["kernleap-load"].cpu_us_per_token, rows["again"].cpu_us_per_token)
    for name, times in (("guidellm", 8.0), ("aiperf", 8.0), ("wrk", 0.5)):
        if name in rows:
            found = ours / rows[name].tokens_per_second
            most = (
                rows["wrk"].tokens_per_second / rows[name].tokens_per_second
                if "wrk" in rows
                else 1e9
            )
            if most < times:
                print(f"{found:.2f} times {name}'s tokens/s; wrk, which reads nothing, {most:.2f}")
                continue
            print(f"{found:.2f} times {name}'s tokens/s; at least {times:g} is due")
            yield found >= times
    print(f"{cost:.2f} us of CPU for a token; at most 5 is due")
    yield cost <= 5


if __name__ == "__main__":
    sys.exit(main())
