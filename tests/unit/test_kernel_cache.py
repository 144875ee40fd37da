"""The cache: content addressing, verification, eviction, and what goes wrong on a disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernleap.kernel.cache import KernelCache, Record, disk_error, write_atomically
from kernleap.kernel.source import Artifact, Candidate
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.model.kernel import Provenance


@pytest.fixture
def cache(tmp_path) -> KernelCache:
    return KernelCache(tmp_path / "kernels")


def record_of(image: str, config: str = "") -> Record:
    candidate = Candidate("7.2", Artifact("http://a/b.deb", "p", "1", "sid", "ab", 3), None)
    return Record("debian", "amd64", "7.2", image, config, Provenance("debian"), candidate, ("n",))


def add_elsewhere(cache: KernelCache, data: bytes) -> str:
    """Store an object from another process, so that this one holds no pin on it."""
    code = (
        "import sys; from pathlib import Path; from kernleap.kernel.cache import KernelCache;"
        "print(KernelCache(Path(sys.argv[1])).add_bytes(bytes.fromhex(sys.argv[2])))"
    )
    argv = [sys.executable, "-c", code, str(cache.root), data.hex()]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_an_object_is_named_by_its_digest(cache):
    sha256 = cache.add_bytes(b"kernel")
    assert sha256 == hashlib.sha256(b"kernel").hexdigest()
    assert cache.get(sha256).read_bytes() == b"kernel"
    assert cache.add_bytes(b"kernel") == sha256
    assert list((cache.root / "tmp").iterdir()) == []


def test_a_changed_object_is_refused_and_removed(cache):
    sha256 = add_elsewhere(cache, b"kernel")
    cache.object_path(sha256).write_bytes(b"kernal")
    with pytest.raises(TamperedError, match="does not match its digest"):
        cache.get(sha256)
    assert not cache.has(sha256)
    cache.add_bytes(b"kernel")
    assert cache.get(sha256).read_bytes() == b"kernel"


def test_a_replaced_object_is_verified_again(cache):
    sha256 = cache.add_bytes(b"kernel")
    path = cache.get(sha256)
    write_atomically(path, b"kernal", cache.root / "tmp")
    with pytest.raises(TamperedError):
        cache.get(sha256)


def test_an_absent_object(cache):
    with pytest.raises(InfrastructureError, match="not in the cache"):
        cache.get("0" * 64)


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_a_digest_is_a_digest(cache, sha256):
    with pytest.raises(TamperedError, match="malformed"):
        cache.object_path(sha256)


def test_records_survive_and_need_their_objects(cache):
    image, config = add_elsewhere(cache, b"image"), cache.add_bytes(b"config")
    record = record_of(image, config)
    cache.put_record("k", record)
    assert cache.find_record("k") == record
    assert list(cache.records()) == [record]
    cache.object_path(image).unlink()
    assert cache.find_record("k") is None
    assert list(cache.records()) == []


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\x00"])
def test_a_broken_record_counts_as_absent(cache, text):
    (cache.root / "records" / "k.json").write_text(text)
    assert cache.find_record("k") is None


def test_the_cap_evicts_what_was_used_longest_ago(cache):
    digests = [add_elsewhere(cache, bytes([n]) * 1000) for n in range(4)]
    for age, sha256 in zip((30, 40, 10, 20), digests, strict=True):
        stamp = time.time() - age
        os.utime(cache.object_path(sha256), (stamp, stamp))
    cache.put_record("gone", record_of(digests[1]))
    small = KernelCache(cache.root, max_bytes=3500)
    newest = small.add_bytes(b"new" * 300)
    assert [small.has(d) for d in digests] == [False, False, True, True]
    assert small.has(newest)
    assert not (cache.root / "records" / "gone.json").exists()


def test_what_a_live_process_uses_is_not_evicted(cache):
    mine = cache.add_bytes(b"in use" * 100)
    os.utime(cache.object_path(mine), (1, 1))
    code = (
        "import sys; from pathlib import Path; from kernleap.kernel.cache import KernelCache;"
        "KernelCache(Path(sys.argv[1]), max_bytes=10).add_bytes(b'other' * 100)"
    )
    subprocess.run([sys.executable, "-c", code, str(cache.root)], check=True)
    assert cache.has(mine)
    other = hashlib.sha256(b"other" * 100).hexdigest()
    assert cache.has(other)  # it was in use by its maker
    code = code.replace("other", "third")
    subprocess.run([sys.executable, "-c", code, str(cache.root)], check=True)
    assert not cache.has(other)
    assert cache.has(mine)


def test_leftovers_of_a_killed_process_are_swept(cache):
    old = cache.root / "tmp" / "old"
    old.mkdir()
    (old / "half.deb").write_bytes(b"half")
    os.utime(old, (1, 1))
    fresh = cache.root / "tmp" / "fresh"
    fresh.write_bytes(b"")
    cache.add_bytes(b"x")
    assert not old.exists()
    assert fresh.exists()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    # RLIMIT_FSIZE makes a real write fail half way, as a full disk does.
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from kernleap.kernel.cache import KernelCache\n"
        "from kernleap.model.errors import InfrastructureError\n"
        "cache = KernelCache(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: cache.add_bytes(b'x' * 100_000)\n"
        "except InfrastructureError as error: print(error)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "kernels")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert "cannot use the kernel cache" in done.stdout
    assert [p for p in (tmp_path / "kernels").rglob("*") if p.is_file() and p.stat().st_size] == []


def test_no_space_left_advises_another_disk():
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught, full.open("wb") as stream:
        stream.write(b"x")
        stream.flush()
    said = str(disk_error(caught.value, full))
    assert "the disk is full" in said
    assert "KERNLEAP_CACHE" in said


def test_the_cap_is_a_number(monkeypatch, tmp_path):
    monkeypatch.setenv("KERNLEAP_CACHE_MAX_BYTES", "2G")
    with pytest.raises(UsageError, match="not a number of bytes"):
        KernelCache(tmp_path)
    monkeypatch.setenv("KERNLEAP_CACHE_MAX_BYTES", "2000")
    assert KernelCache(tmp_path).max_bytes == 2000
