"""Kernel images and packages made by hand, well-formed or not, and an archive that serves them."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import struct
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import zstandard

# Not so regular that it compresses like a bomb.
FILLER = hashlib.shake_256(b"kernleap").digest(20_000)


def bzimage(release: str = "7.2.12-test", filler: bytes = FILLER) -> bytes:
    """What a loader sees of an x86 kernel: the boot protocol's header and a version string."""
    header = bytearray(0x400)
    header[0x1FE:0x200] = b"\x55\xaa"
    header[0x202:0x206] = b"HdrS"
    header[0x206:0x208] = (0x020F).to_bytes(2, "little")
    header[0x20E:0x210] = (0x100).to_bytes(2, "little")
    banner = f"{release} (builder@host) #1 SMP".encode() + b"\0"
    header[0x300 : 0x300 + len(banner)] = banner
    return bytes(header) + filler


def arm64_image(release: str = "7.2.12-test") -> bytes:
    """What a loader sees of an arm64 kernel, and its banner further in."""
    header = bytearray(0x40)
    header[0:2] = b"MZ"
    header[0x38:0x3C] = b"ARM\x64"
    return bytes(header) + FILLER + f"Linux version {release} (builder@host)\n".encode()


def tar(members: list[tarfile.TarInfo | tuple[str, bytes]]) -> bytes:
    """A tar of files (name, bytes) and of members given as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                name, data = member
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A link, a device or the like."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def compress(data: bytes, kind: str) -> bytes:
    """By the name that a package's part ends with."""
    if kind == "xz":
        return lzma.compress(data, preset=1)
    if kind == "zst":
        return zstandard.compress(data)
    if kind == "gz":
        return gzip.compress(data, compresslevel=1)
    return data


def ar(members: list[tuple[str, bytes]]) -> bytes:
    """An ar archive."""
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{0o100644:<8o}{len(data):<10}".encode() + b"`\n"
        out += data + b"\n" * (len(data) % 2)
    return out


def deb(members: list[tarfile.TarInfo | tuple[str, bytes]], kind: str = "xz") -> bytes:
    """A Debian package with these files."""
    suffix = f".{kind}" if kind else ""
    control = compress(tar([("./control", b"Package: linux-image-test\n")]), "xz")
    data = compress(tar(members), kind)
    return ar(
        [("debian-binary", b"2.0\n"), ("control.tar.xz", control), (f"data.tar{suffix}", data)]
    )


def cpio(members: list[tuple[str, int, bytes]]) -> bytes:
    """A newc cpio archive of (name, mode, bytes)."""
    out = b""
    for number, (name, mode, data) in enumerate([*members, ("TRAILER!!!", 0, b"")]):
        raw = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        header = b"070701" + b"".join(f"{value:08x}".encode() for value in fields)
        out += header + raw + b"\0" * (-(len(header) + len(raw)) % 4)
        out += data + b"\0" * (-len(data) % 4)
    return out


def rpm(members: list[tuple[str, int, bytes]], digest: str | None = None) -> bytes:
    """An RPM with a zstd payload. `digest` replaces the payload's true one in the header."""
    payload = zstandard.compress(cpio(members))
    promised = digest if digest is not None else hashlib.sha256(payload).hexdigest()
    header = _rpm_header(
        [
            (1124, 6, b"cpio\0"),
            (1125, 6, b"zstd\0"),
            (5092, 8, promised.encode() + b"\0"),
            (5093, 4, struct.pack(">I", 8)),
        ]
    )
    signature = _rpm_header([(1000, 4, struct.pack(">I", len(header) + len(payload)))])
    lead = b"\xed\xab\xee\xdb\x03\0" + b"\0" * 90
    head = lead + signature
    return head + b"\0" * (-len(head) % 8) + header + payload


def _rpm_header(entries: list[tuple[int, int, bytes]]) -> bytes:
    index, store = b"", b""
    for tag, kind, data in entries:
        if kind == 4:
            store += b"\0" * (-len(store) % 4)
        index += struct.pack(">IIII", tag, kind, len(store), 1)
        store += data
    return (
        b"\x8e\xad\xe8\x01"
        + b"\0" * 4
        + struct.pack(">II", len(entries), len(store))
        + index
        + store
    )


@dataclass
class Archive:
    """A Debian archive on this machine, and the kernels in it.

    `files` maps a path to the bytes that are served; what is left out is a 404. `promised`
    overrides the bytes that the index describes. `cut` lists paths whose transfer breaks off.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    suites: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    origin: str = "Debian"
    uri: str = ""

    def add(self, suite: str, package: str, version: str, data: bytes) -> str:
        """Put a package in; returns its path."""
        path = f"pool/main/l/linux/{package}_{version}_amd64.deb"
        self.files[path] = data
        stanza = {
            "Package": package,
            "Version": version,
            "Architecture": "amd64",
            "Filename": path,
            "Size": str(len(data)),
            "SHA256": hashlib.sha256(data).hexdigest(),
        }
        self.suites.setdefault(suite, []).append(stanza)
        self._index(suite)
        return path

    def add_kernel(self, suite: str, release: str, version: str) -> str:
        """Put a kernel of the older shape in, with its configuration."""
        data = deb(
            [
                (f"./boot/vmlinuz-{release}", bzimage(release)),
                (f"./boot/config-{release}", f"CONFIG_HZ=250\n# of {release}\n".encode()),
            ]
        )
        return self.add(suite, f"linux-image-{release}", version, data)

    def _index(self, suite: str) -> None:
        stanzas = ["".join(f"{k}: {v}\n" for k, v in s.items()) for s in self.suites[suite]]
        packages = "\n".join(stanzas).encode()
        name = "main/binary-amd64/Packages"
        release = (
            f"Origin: {self.origin}\nSuite: {suite}\nCodename: {suite}\n"
            f"Date: {formatdate(usegmt=True)}\nArchitectures: amd64\nComponents: main\n"
            f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} {name}\n"
        )
        self.files[f"dists/{suite}/Release"] = release.encode()
        self.files[f"dists/{suite}/{name}"] = packages

    def downloads(self) -> list[str]:
        """Package paths that were asked for, in order."""
        return [path for path in self.requests if path.startswith("pool/")]


@contextmanager
def served(archive: Archive) -> Iterator[Archive]:
    """Serve an archive over HTTP on this machine while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path).removeprefix("/debian/")
            archive.requests.append(path)
            data = archive.files.get(path)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if path in archive.cut else data)
            self.close_connection = path in archive.cut

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    archive.uri = f"http://127.0.0.1:{server.server_port}/debian"
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def machine_with(archive: Archive, directory: Path, suite: str = "sid") -> Mapping[str, str]:
    """Environment of a machine whose apt knows this archive and trusts it, and an empty cache."""
    sources = directory / "machine-sources"
    sources.mkdir()
    (sources / "a.list").write_text(f"deb [trusted=yes] {archive.uri} {suite} main\n")
    conf = directory / "machine-apt.conf"
    conf.write_text(
        f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{sources}/";\n'
        'Dir::Etc::parts "/dev/null";\nAcquire::http::Proxy "DIRECT";\nAcquire::Retries "0";\n'
        f'APT::Update::Pre-Invoke {{ "touch {directory}/hook-ran"; }};\n'
        f'APT::Update::Post-Invoke {{ "touch {directory}/hook-ran"; }};\n'
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KERNLEAP_")}
    cache = directory / "cache"
    return {
        **kept,
        "APT_CONFIG": str(conf),
        "no_proxy": "127.0.0.1",
        "KERNLEAP_CACHE": str(cache),
    }
