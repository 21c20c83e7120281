"""Documents as customers send them, and as they should not."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import pikepdf
from PIL import Image

MIB = 1024 * 1024
_BOMB_MIB = 800


def image(
    kind: str = "JPEG", *, size: tuple[int, int] = (64, 48), mode: str = "RGB", shade: int = 1, **options: Any
) -> bytes:
    """Return an image of one shade."""
    written = io.BytesIO()
    Image.new(mode, size, shade).save(written, kind, **options)
    return written.getvalue()


def telling_image(kind: str) -> bytes:
    """Return an image that says where and by whom it was taken, and that is to be shown on its side."""
    exif = Image.Exif()
    exif[0x010F] = "maker of the camera"
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    return image(kind, exif=exif)


def pdf(pages: int = 1, change: Callable[[pikepdf.Pdf], None] | None = None, **options: Any) -> bytes:
    """Return a PDF of blank pages; `change` does to it what is to be refused."""
    document = pikepdf.new()
    for _ in range(pages):
        document.add_blank_page()
    if change is not None:
        change(document)
    written = io.BytesIO()
    document.save(written, **options)
    return written.getvalue()


def with_action(**action: Any) -> Callable[[pikepdf.Pdf], None]:
    """Return what gives a PDF an action that starts when it is opened."""

    def change(document: pikepdf.Pdf) -> None:
        document.Root.OpenAction = pikepdf.Dictionary(**action)

    return change


def pdf_with_hidden_script() -> bytes:
    """Return one with a script where nothing shows it, deep in a dictionary of a page, its name spelt another way."""

    def hide(document: pikepdf.Pdf) -> None:
        script = pikepdf.Dictionary({"/JQQQ": pikepdf.String("app.alert(1)")})
        document.pages[0].obj.PieceInfo = pikepdf.Dictionary(A=pikepdf.Array([script]))

    return pdf(change=hide).replace(b"/JQQQ", b"/J#53")


def with_file(document: pikepdf.Pdf) -> None:
    """Put a file into a PDF."""
    document.attachments["virus.exe"] = b"MZ"


@cache
def pdf_bomb() -> bytes:
    """Return a small PDF whose objects are compressed, and take more memory than there is for it."""
    # After a flush the same blanks are written the same way: to compress them eight hundred times takes a second.
    packer, begin, blanks = zlib.compressobj(1), b"1 0 ", b" " * MIB
    objects = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    objects += (packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)) * _BOMB_MIB
    checksum = reduce(lambda known, _: zlib.adler32(blanks, known), range(_BOMB_MIB), zlib.adler32(begin))
    objects += packer.flush()[:-4] + checksum.to_bytes(4, "big")
    written = bytearray(b"%PDF-1.5\n")
    entries = [(0, 0, 65535), (2, 5, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (1, len(written), 0)]
    head = f"5 0 obj\n<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length {len(objects)}>>\nstream\n"
    written += head.encode() + objects + b"\nendstream\nendobj\n"
    begins = len(written)
    entries.append((1, begins, 0))
    table = zlib.compress(b"".join(struct.pack(">BIH", *entry) for entry in entries))
    head = f"6 0 obj\n<</Type/XRef/Size 7/W[1 4 2]/Root 1 0 R/Filter/FlateDecode/Length {len(table)}>>\nstream\n"
    written += head.encode() + table + f"\nendstream\nendobj\nstartxref\n{begins}\n%%EOF".encode()
    return bytes(written)
