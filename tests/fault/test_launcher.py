"""bin/kernleap and bin/setup.sh: first use, no-op, interruption, refusals.

Each test works on a small checkout of its own: the real scripts, the real installers, and a
run.lock of one package.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

Command = list[str | Path]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that any user may enter (pytest's own are private)."""
    with tempfile.TemporaryDirectory(prefix="kernleap-test-") as name:
        Path(name).chmod(0o777)
        yield Path(name).resolve()


@pytest.fixture
def small(checkout: Path, place: Path) -> Path:
    """A checkout whose kernleap prints its arguments, and whether click is installed."""
    root = place / "check out"
    shutil.copytree(checkout / "bin", root / "bin")
    (root / "requirements").mkdir()
    shutil.copy(checkout / "requirements" / "uv.lock", root / "requirements")
    blocks = re.split(r"\n(?=\S)", (checkout / "requirements" / "run.lock").read_text())
    click = next(block for block in blocks if block.startswith("click=="))
    (root / "requirements" / "run.lock").write_text(click + "\n")
    package = root / "src" / "kernleap"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import sys, importlib.util\n"
        "print(sys.argv[1:], importlib.util.find_spec('click') is not None)\n"
    )
    return root


def run(command: Command, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd="/",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.network
@pytest.mark.slow
def test_first_use_then_no_op_then_repair(small: Path, place: Path) -> None:
    launcher = small / "bin" / "kernleap"
    expected = "['runs', '--json'] True\n"

    # Two first uses at once: one sets up, the other waits, both run.
    pair = [
        subprocess.Popen(
            [launcher, "runs", "--json"],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in pair]
    assert [out for out, _ in outputs] == [expected, expected], outputs
    assert sum("installing 1 packages" in err for _, err in outputs) == 1

    # Afterwards: silent, by symlink and from any directory too.
    link = place / "kl"
    link.symlink_to(launcher)
    again = run([link, "runs", "--json"])
    assert (again.stdout, again.stderr) == (expected, "")

    # A changed lock makes the environment anew; killed half-way, the next run does it again.
    with (small / "requirements" / "run.lock").open("a") as lock:
        lock.write("# changed\n")
    killed = subprocess.Popen(
        [launcher], cwd="/", stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (small / ".venv.log").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (small / ".venv" / "kernleap.stamp").exists()
    repaired = run([launcher, "runs", "--json"])
    assert repaired.stdout == expected, repaired.stderr


@pytest.mark.network
@pytest.mark.slow
def test_bytes_with_another_hash_are_refused(small: Path) -> None:
    lock = small / "requirements" / "run.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock.read_text()))
    done = run([small / "bin" / "kernleap"])
    assert done.returncode == 20
    assert "hash" in done.stderr.lower()
    assert "cannot install the locked packages" in done.stderr
    assert not (small / ".venv" / "kernleap.stamp").exists()


@pytest.fixture
def programs(place: Path) -> Path:
    """A PATH with what the scripts need and nothing else: no python3, QEMU or sudo."""
    directory = place / "programs"
    directory.mkdir()
    for name in ("sh", "env", "id", "dirname", "readlink", "flock", "date", "cmp", "mktemp",
                 "tail", "sed", "rm", "mkdir", "cp", "mv", "grep", "cat"):  # fmt: skip
        found = shutil.which(name)
        assert found is not None, name
        (directory / name).symlink_to(found)
    return directory


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def as_nobody(command: Command) -> Command:
    """The command as a user who may not install packages."""
    if os.getuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("running as root without setpriv to drop it")
    return [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", *command]


def pretend_ready(root: Path) -> None:
    """The stamp of a finished set-up, around a Python that any user may run."""
    for python in (Path(sys.executable).resolve(), Path("/usr/bin/python3").resolve()):
        # By way of a shell: setpriv itself still has the rights to reach what it starts.
        if run(as_nobody(["/bin/sh", "-c", '"$0" -P -c ""', python])).returncode == 0:
            break
    else:
        pytest.skip("no Python 3.11 here that another user may run")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(python)
    shutil.copy(root / "requirements" / "run.lock", root / ".venv" / "kernleap.run.lock")
    (root / ".venv" / "kernleap.stamp").write_text(f"run\n{root}\n{python}\n")


def test_python_too_old_is_said_in_one_line(small: Path, programs: Path) -> None:
    script(programs / "python3", "exit 1")
    done = run([small / "bin" / "kernleap"], PATH=str(programs))
    assert done.returncode == 20
    assert "Python 3.11 or newer is missing" in done.stderr
    assert "install python3 python3-venv" in done.stderr


def test_a_named_python_is_used_or_refused(small: Path, programs: Path) -> None:
    script(programs / "python3", "echo must not be tried >&2; exit 0")
    named = str(programs / "no-such-python")
    done = run([small / "bin" / "kernleap"], PATH=str(programs), KERNLEAP_PYTHON=named)
    assert done.returncode == 20
    assert done.stderr == f"kernleap: KERNLEAP_PYTHON={named} is no Python 3.11 or newer\n"


def test_venv_module_missing_names_its_package(small: Path, programs: Path) -> None:
    # Answers as Debian's python3 does without python3-venv.
    script(
        programs / "python3",
        "case $2 in *ensurepip*) exit 1;; *version_info*print*|*print*) echo 3.12;; esac",
    )
    done = run([small / "bin" / "kernleap"], PATH=str(programs))
    assert done.returncode == 20
    assert "the venv module" in done.stderr
    assert "python3.12-venv" in done.stderr


def test_without_rights_the_missing_package_is_one_line_to_run(small: Path, programs: Path) -> None:
    pretend_ready(small)
    script(programs / "apt-get", "echo called >&2; exit 99")
    command = as_nobody([small / "bin" / "kernleap", "compare", "debian:7.0", "debian:7.2"])
    done = run(command, PATH=str(programs))
    assert done.returncode == 20, done.stderr
    assert "qemu-system-x86_64 is missing" in done.stderr
    line = "sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86"
    assert line in done.stderr
    assert "called" not in done.stderr


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["--arch", "arm64"], "qemu-system-aarch64 is missing"),
        (["--arch=arm64"], "qemu-system-aarch64 is missing"),
        (["--arch", "amd64,arm64"], "qemu-system-x86_64 is missing"),
        (["--arch", "amd64"], "qemu-system-x86_64 is missing"),
    ],
)
def test_each_architecture_needs_its_emulator(
    small: Path, programs: Path, words: list[str], missing: str
) -> None:
    pretend_ready(small)
    command = as_nobody([small / "bin" / "kernleap", "compare", *words, "a", "b"])
    assert missing in run(command, PATH=str(programs)).stderr
    # With x86's at hand, what is missing is the other.
    script(programs / "qemu-system-x86_64", "exit 0")
    done = run(command, PATH=str(programs))
    assert ("qemu-system-aarch64 is missing" in done.stderr) == ("arm64" in words[-1])


@pytest.mark.parametrize("words", [["--machine", "here"], ["--machine=here"]])
def test_the_running_machine_needs_no_emulator(small: Path, programs: Path, words) -> None:
    pretend_ready(small)
    command = as_nobody([small / "bin" / "kernleap", *words, "compare", "host", "host"])
    assert "qemu" not in run(command, PATH=str(programs)).stderr
    command = as_nobody([small / "bin" / "kernleap", "compare", "host", "host", *words])
    assert "qemu" not in run(command, PATH=str(programs)).stderr


def test_yes_allows_sudo_and_is_not_passed_on(small: Path, programs: Path, place: Path) -> None:
    pretend_ready(small)
    calls = place / "calls"
    # apt's first answer on a machine without package lists is a failure: it must be refreshed.
    script(
        programs / "apt-get",
        f'echo "$*" >>"{calls}"\n'
        f'case "$*" in *update*) : >"{calls}.fresh";; *) [ -e "{calls}.fresh" ];; esac',
    )
    script(programs / "sudo", f'echo sudo >>"{calls}"\nexec "$@"')
    command = as_nobody([small / "bin" / "kernleap", "compare", "--yes", "a", "b"])
    done = run(command, PATH=str(programs), TMPDIR=str(place), PYTHONPATH=str(small / "src"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['compare', 'a', 'b']")
    words = calls.read_text().split()
    assert words.count("update") == 1
    assert words.count("install") == 2
    if os.getuid() == 0 and shutil.which("setpriv"):
        assert words.count("sudo") == 3


def test_help_needs_no_emulator(small: Path, programs: Path) -> None:
    pretend_ready(small)
    for arguments in (["compare", "--help"], ["--help", "compare"], ["runs"]):
        done = run(
            [small / "bin" / "kernleap", *arguments],
            PATH=str(programs),
            PYTHONPATH=str(small / "src"),
        )
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_no_setup_is_obeyed(small: Path, programs: Path) -> None:
    pretend_ready(small)
    (small / ".venv" / "kernleap.stamp").unlink()
    done = run(
        [small / "bin" / "kernleap", "compare"],
        PATH=str(programs),
        PYTHONPATH=str(small / "src"),
        KERNLEAP_NO_SETUP="1",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_read_only_checkout_is_named(small: Path, programs: Path) -> None:
    done = run(as_nobody([small / "bin" / "kernleap"]), PATH=str(programs))
    if os.getuid() != 0:
        pytest.skip("the checkout belongs to this user; only root can try as another")
    assert done.returncode == 20
    assert f"cannot write to the checkout {small}" in done.stderr
