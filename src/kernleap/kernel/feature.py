"""Whether a kernel has a feature: asked of its configuration, else of its image; never of its
version, as distributions carry features back."""

from __future__ import annotations

import io
import lzma
import zlib

import zstandard

from kernleap.model.feature import Feature
from kernleap.model.kconfig import parse
from kernleap.model.kernel import KernelImage

_SETUP_SECTS, _PAYLOAD_OFFSET, _PAYLOAD_LENGTH = 0x1F1, 0x248, 0x24C
_LARGEST = 256 << 20


def has_feature(image: KernelImage, feature: Feature) -> bool | None:
    """Whether the kernel has it; None where neither configuration nor image tells."""
    if image.kconfig is not None:
        options = parse(image.kconfig.read_text("utf-8", "replace"))
        return options.get(feature.option) == "y"
    plain = unpacked(image.vmlinuz.read_bytes())
    return None if plain is None else feature.image_word in plain


def unpacked(image: bytes) -> bytes | None:
    """The kernel inside a boot image; None if it is packed in a way that is not known here.

    x86: payload_offset and payload_length of the boot protocol's header
    (Documentation/arch/x86/boot.rst), which count from the end of the setup sectors.
    """
    if image[0x202:0x206] == b"HdrS":
        setup = (image[_SETUP_SECTS] or 4) + 1
        start = setup * 512 + int.from_bytes(image[_PAYLOAD_OFFSET : _PAYLOAD_OFFSET + 4], "little")
        length = int.from_bytes(image[_PAYLOAD_LENGTH : _PAYLOAD_LENGTH + 4], "little")
        image = image[start : start + length]
    elif image[0x38:0x3C] == b"ARM\x64":
        return image
    try:
        if image.startswith(b"\x28\xb5\x2f\xfd"):
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(image)) as reader:
                return reader.read(_LARGEST)
        if image.startswith(b"\xfd7zXZ\0"):
            return lzma.LZMADecompressor().decompress(image, _LARGEST)
        if image.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(image, _LARGEST)
    except (zstandard.ZstdError, lzma.LZMAError, zlib.error):
        return None
    return None
