"""A program that reads one document from its input, looks into it and writes it anew. It knows nothing of the service.

Whoever sends a document may have made it to break what reads it: so this runs in a process without secrets, with
little memory and time, which may die. It is started with what it may do as JSON, in `argv`; it answers with a line of
JSON, `{"refused": code}` or `{"pages": …, "bytes": …}`, and behind that the document. What is written anew has nothing
that stood before, behind or between what is shown: no EXIF, no metadata, no second format in the same bytes.
"""

import io
import json
import resource
import sys
from typing import Any, Final

_MAGIC: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
)
_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_MODES: Final = {
    "JPEG": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
}
_SAVED: Final[dict[str, dict[str, Any]]] = {
    "JPEG": {"quality": 90},
    "PNG": {"compress_level": 4},
    "WEBP": {"quality": 90},
}
_ACTIVE_KEYS: Final = frozenset({"/JS", "/JavaScript", "/EmbeddedFiles", "/EF", "/XFA", "/RichMediaContent"})
_ACTIVE_NAMES: Final = {
    "/S": frozenset(
        {"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/GoToE", "/Rendition", "/RichMediaExecute"}
    ),
    "/Subtype": frozenset({"/FileAttachment", "/RichMedia"}),
}
"""Keys of dictionaries (ISO 32000-2, 12.6.4) → values that start something or carry files."""


class _RefusedError(Exception):
    """Carries the code of the refusal."""


def main() -> None:
    """Read, look, write; what goes wrong is the document's fault."""
    bounds = json.loads(sys.argv[1])
    _bound(bounds)
    content = sys.stdin.buffer.read(bounds["bytes_max"] + 1)
    try:
        pages, written = _inspected(content, bounds)
        if len(written) > bounds["stored_bytes_max"]:
            raise _RefusedError("document_too_many_pixels")
    except _RefusedError as refused:
        _answer({"refused": str(refused)})
    # Decoders fail in ways of their own, without a common class; the caller learns that it could not be read.
    except Exception:  # noqa: BLE001 -- the edge of this program
        _answer({"refused": "document_unreadable"})
    else:
        _answer({"pages": pages, "bytes": len(written)})
        sys.stdout.buffer.write(written)


def _bound(bounds: dict[str, Any]) -> None:
    """Give this process no more than it needs, for as long as it lives; no core is dumped, no file written."""
    for what, most in (
        (resource.RLIMIT_AS, bounds["memory_bytes_max"]),
        (resource.RLIMIT_CPU, bounds["cpu_seconds_max"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")


def _inspected(content: bytes, bounds: dict[str, Any]) -> tuple[int | None, bytes]:
    if not content or len(content) > bounds["bytes_max"]:
        raise _RefusedError("document_unreadable")
    if _type_of(content) != bounds["declared"]:
        raise _RefusedError("document_mislabelled")
    if bounds["declared"] in _FORMATS:
        return None, _image(content, _FORMATS[bounds["declared"]], bounds["pixels_max"])
    return _pdf(content, bounds["pages_max"])


def _type_of(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _MAGIC if content.startswith(magic)), "")


def _image(content: bytes, name: str, pixels_max: int) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 -- under the bounds, and only what is needed

    Image.MAX_IMAGE_PIXELS = None  # ours is exact, and asked before anything is decoded
    image: Any = Image.open(io.BytesIO(content), formats=[name])
    if image.width * image.height > pixels_max:
        raise _RefusedError("document_too_many_pixels")
    # A telephone's JPEG may bring a preview along; of the others, the first picture alone would not be all of it.
    if name != "JPEG" and getattr(image, "n_frames", 1) > 1:
        raise _RefusedError("document_unreadable")
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode not in _MODES[name]:
        image = image.convert("RGB")
    image.info = {}  # EXIF, comments, colour profiles, texts: what is not the picture
    written = io.BytesIO()
    image.save(written, name, **_SAVED[name])
    return written.getvalue()


def _pdf(content: bytes, pages_max: int) -> tuple[int, bytes]:
    import pikepdf  # noqa: PLC0415 -- as above

    try:
        # What has to be repaired may show less than was sent.
        pdf = pikepdf.open(io.BytesIO(content), attempt_recovery=False)
    except pikepdf.PasswordError:
        raise _RefusedError("document_encrypted") from None
    if pdf.is_encrypted:
        raise _RefusedError("document_encrypted")
    pages = len(pdf.pages)
    if pages > pages_max:
        raise _RefusedError("document_too_many_pages")
    if not pages:
        raise _RefusedError("document_unreadable")
    _require_passive(pdf, pikepdf)
    for holder, key in ((pdf.trailer, "/Info"), (pdf.Root, "/Metadata")):
        if key in holder:
            del holder[key]
    written = io.BytesIO()
    pdf.save(written)
    return pages, written.getvalue()


def _require_passive(pdf: Any, pikepdf: Any) -> None:
    """Look at every object of the file, whether or not something shows it."""
    waiting = [pdf.trailer, *pdf.objects]
    while waiting:
        one = waiting.pop()
        if isinstance(one, pikepdf.Dictionary | pikepdf.Stream):
            for key, value in one.items():
                if key in _ACTIVE_KEYS or (key in _ACTIVE_NAMES and str(value) in _ACTIVE_NAMES[key]):
                    raise _RefusedError("document_active")
                if _is_inside(value):
                    waiting.append(value)
        elif isinstance(one, pikepdf.Array):
            waiting.extend(value for value in one if _is_inside(value))


def _is_inside(value: Any) -> bool:
    """Tell whether it stands where it is named; what stands elsewhere has its own turn."""
    return not getattr(value, "is_indirect", True)


if __name__ == "__main__":
    main()
