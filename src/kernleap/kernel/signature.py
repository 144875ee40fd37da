"""The signature in a boot image, as Secure Boot looks at it.

A PE image carries its Authenticode signature in a table at its end that the optional header's
fifth data directory points to (Microsoft, "PE Format", Attribute Certificate Table). What is
signed is a digest over the image without its checksum, without that directory entry and without
the table ("Windows Authenticode Portable Executable Signature Format"). Whether the signer is
trusted is for the firmware's keys to say, and not looked at.
"""

from __future__ import annotations

import hashlib
import struct

from kernleap.model.kernel_facts import ImageSignature

_PE = b"PE\0\0"
_PE32_PLUS = 0x20B
_PE32 = 0x10B
_OPTIONAL = 24
"""Offset of the optional header from the PE signature."""
_CHECKSUM = _OPTIONAL + 64
_DIRECTORIES = {_PE32: _OPTIONAL + 96, _PE32_PLUS: _OPTIONAL + 112}
_SECURITY = 4
_PKCS7 = 0x0002
_COMMON_NAME = b"\x06\x03\x55\x04\x03"
"""OBJECT IDENTIFIER 2.5.4.3, in DER."""
_STRINGS = {0x0C, 0x13, 0x14, 0x16, 0x1E}
_DIGESTS = ("sha256", "sha384", "sha512", "sha1")


def image_signature(image: bytes) -> ImageSignature:
    """Look for a signature in a boot image. Never raises: damage is a finding.

    `covers` is True if a digest of these very bytes is in the signature.
    """
    if image[:2] != b"MZ" or len(image) < 0x40:
        return ImageSignature(
            False, note="not a PE image: it has no EFI stub and cannot carry a signature"
        )
    start = int.from_bytes(image[0x3C:0x40], "little")
    if image[start : start + 4] != _PE or start + 256 > len(image):
        return ImageSignature(False, note="its PE header is missing or cut short")
    kind = int.from_bytes(image[start + _OPTIONAL : start + _OPTIONAL + 2], "little")
    if kind not in _DIRECTORIES:
        return ImageSignature(None, note=f"a PE header of unknown kind {kind:#x}")
    entry = start + _DIRECTORIES[kind] + 8 * _SECURITY
    (count,) = struct.unpack_from("<I", image, start + _DIRECTORIES[kind] - 4)
    offset, size = struct.unpack_from("<II", image, entry) if count > _SECURITY else (0, 0)
    if not size:
        return ImageSignature(False, note="its certificate table is empty")
    if offset < start or offset + size > len(image) or size < 8:
        return ImageSignature(False, note="its certificate table lies outside of the file")
    return _signature(image, start, entry, (offset, size))


def _signature(image: bytes, start: int, entry: int, table: tuple[int, int]) -> ImageSignature:
    offset, size = table
    certificates: list[bytes] = []
    at = offset
    while at + 8 <= offset + size:
        length, _, kind = struct.unpack_from("<IHH", image, at)
        if not 8 <= length <= offset + size - at:
            break
        if kind == _PKCS7:
            certificates.append(image[at + 8 : at + length])
        at += length + -length % 8
    if not certificates:
        return ImageSignature(False, note="its certificate table holds no PKCS #7 signature")
    # The digest leaves out the checksum, the directory entry and the table itself.
    checksum = start + _CHECKSUM
    parts = (
        image[:checksum],
        image[checksum + 4 : entry],
        image[entry + 8 : offset],
        image[offset + size :],
    )
    blob = b"".join(certificates)
    digests = (hashlib.new(name, usedforsecurity=False) for name in _DIGESTS)
    covers = False
    for digest in digests:
        for part in parts:
            digest.update(part)
        covers = covers or digest.digest() in blob
    return ImageSignature(True, covers, _common_names(blob))


def _common_names(blob: bytes) -> tuple[str, ...]:
    """Every common name in the DER, once, in order: issuers and subjects alike."""
    names: dict[str, None] = {}
    at = blob.find(_COMMON_NAME)
    while at >= 0 and len(names) < 32:
        value = at + len(_COMMON_NAME)
        if value + 2 <= len(blob) and blob[value] in _STRINGS and blob[value + 1] < 0x80:
            raw = blob[value + 2 : value + 2 + blob[value + 1]]
            text = raw.decode("utf-16-be" if blob[value] == 0x1E else "utf-8", "replace")
            names.setdefault("".join(c for c in text if c.isprintable())[:128])
        at = blob.find(_COMMON_NAME, at + 1)
    return tuple(names)
