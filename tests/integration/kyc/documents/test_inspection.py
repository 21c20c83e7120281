"""Documents made to be trouble: each is refused with its reason, or has lost on the way what it should not bring."""

import asyncio
import io
import json
import subprocess
import sys
from asyncio.subprocess import PIPE
from functools import cache
from pathlib import Path
from typing import Any, cast

import pikepdf
import pytest
from PIL import Image

from libs.common.errors import Unprocessable
from services.kyc.domain.documents import PIXELS_MAX, MediaType
from services.kyc.inspection import inspect_document
from services.kyc.inspection.document_inspector import DocumentInspector, Inspection, Looked
from tests.support.documents import (
    image,
    pdf,
    pdf_bomb,
    pdf_with_hidden_script,
    telling_image,
    with_action,
    with_file,
)

JPEG, PNG, WEBP, PDF = "image/jpeg", "image/png", "image/webp", "application/pdf"


async def look(content: bytes, declared: str, inspector: DocumentInspector | None = None) -> tuple[Looked, bytes]:
    async with (inspector or DocumentInspector()).inspecting(cast("MediaType", declared)) as inspection:
        for begins in range(0, len(content), 65536):
            await inspection.feed(content[begins : begins + 65536])
        return await judged(inspection)


async def judged(inspection: Inspection) -> tuple[Looked, bytes]:
    looked = await inspection.verdict()
    return looked, b"".join([piece async for piece in inspection.content()])


async def refusal(content: bytes, declared: str) -> str:
    with pytest.raises(Unprocessable) as refused:
        await look(content, declared)
    return refused.value.code


@pytest.mark.parametrize(("kind", "declared"), [("JPEG", JPEG), ("PNG", PNG), ("WEBP", WEBP)])
async def test_an_image_loses_what_it_tells_besides_the_picture_and_stands_upright(kind: str, declared: str) -> None:
    content = telling_image(kind)
    assert b"maker of the camera" in content
    looked, written = await look(content, declared)
    assert b"maker of the camera" not in written
    shown = Image.open(io.BytesIO(written))
    assert (shown.format, shown.size, dict(shown.getexif())) == (kind, (48, 64), {})
    assert looked == Looked(pages=None, bytes=len(written))


async def test_comments_profiles_and_texts_go_as_well() -> None:
    profile = b"a colour profile of somebody's scanner"
    _, written = await look(image("JPEG", comment=b"taken at home", icc_profile=profile), JPEG)
    assert b"taken at home" not in written
    assert profile not in written
    _, written = await look(image("PNG", icc_profile=profile), PNG)
    assert Image.open(io.BytesIO(written)).info == {}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
async def test_a_png_of_any_mode_keeps_its_picture(mode: str) -> None:
    content = image("PNG", mode=mode)
    _, written = await look(content, PNG)
    assert Image.open(io.BytesIO(written)).tobytes() == Image.open(io.BytesIO(content)).tobytes()


async def test_a_jpeg_for_print_is_taken() -> None:
    _, written = await look(image("JPEG", mode="CMYK"), JPEG)
    assert Image.open(io.BytesIO(written)).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        pytest.param(image("PNG"), JPEG, id="png as jpeg"),
        pytest.param(image("JPEG"), PDF, id="jpeg as pdf"),
        pytest.param(pdf(), JPEG, id="pdf as jpeg"),
        pytest.param(image("GIF"), PNG, id="gif as png"),
        pytest.param(b"<svg onload='alert(1)'/>", PNG, id="svg as png"),
        pytest.param(b"MZ" + bytes(100), PDF, id="program as pdf"),
        pytest.param(b"\n" + pdf(), PDF, id="something before a pdf"),
        pytest.param(b"PK\x03\x04" + image("JPEG"), JPEG, id="archive before a jpeg"),
        pytest.param(b"RIFF\x00\x00\x00\x00WAVE", WEBP, id="sound as webp"),
    ],
)
async def test_what_is_something_else_than_it_says_is_refused(content: bytes, declared: str) -> None:
    assert await refusal(content, declared) == "document_mislabelled"


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        pytest.param(b"", JPEG, id="nothing"),
        pytest.param(image("JPEG", size=(300, 300))[:-40], JPEG, id="cut jpeg"),
        pytest.param(image("PNG", size=(300, 300))[:-40], PNG, id="cut png"),
        pytest.param(image("WEBP", size=(300, 300))[:-10], WEBP, id="cut webp"),
        pytest.param(pdf(3)[:-100], PDF, id="cut pdf"),
        pytest.param(b"\xff\xd8\xff" + bytes(1000), JPEG, id="no jpeg but for its beginning"),
        pytest.param(b"%PDF-1.7\n" + bytes(1000), PDF, id="no pdf but for its beginning"),
        pytest.param(
            image("WEBP", save_all=True, append_images=[Image.new("RGB", (64, 48), 9)]), WEBP, id="animated webp"
        ),
        pytest.param(
            image("PNG", save_all=True, append_images=[Image.new("RGB", (64, 48), 9)]), PNG, id="animated png"
        ),
        pytest.param(pdf_bomb(), PDF, id="a pdf that takes more memory than there is"),
    ],
)
async def test_what_cannot_be_read_whole_is_refused(content: bytes, declared: str) -> None:
    assert await refusal(content, declared) == "document_unreadable"


async def test_an_image_may_have_so_many_pixels_and_no_more() -> None:
    sides = (8000, PIXELS_MAX // 8000)
    looked, _ = await look(image("PNG", size=sides, mode="1"), PNG)
    assert looked.bytes > 0
    assert await refusal(image("PNG", size=(sides[0], sides[1] + 1), mode="1"), PNG) == "document_too_many_pixels"


async def test_a_bomb_of_an_image_is_refused_by_what_it_says_before_it_is_opened() -> None:
    content = image("PNG", size=(16_000, 16_000), mode="1", compress_level=1)
    assert len(content) < 300_000
    assert await refusal(content, PNG) == "document_too_many_pixels"


async def test_a_pdf_may_have_twenty_pages() -> None:
    looked, _ = await look(pdf(20), PDF)
    assert looked.pages == 20
    assert await refusal(pdf(21), PDF) == "document_too_many_pages"
    assert await refusal(pdf(0), PDF) == "document_unreadable"


@pytest.mark.parametrize(
    "password", [pytest.param("", id="opens without a password"), pytest.param("secret", id="needs a password")]
)
async def test_an_encrypted_pdf_is_refused(password: str) -> None:
    content = pdf(encryption=pikepdf.Encryption(owner="owner", user=password))
    assert await refusal(content, PDF) == "document_encrypted"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(with_action(S=pikepdf.Name.JavaScript, JS="app.alert(1)"), id="script"),
        pytest.param(with_action(S=pikepdf.Name.Launch, F="calc.exe"), id="launch"),
        pytest.param(with_action(S=pikepdf.Name.SubmitForm, F="http://evil.example"), id="submit"),
        pytest.param(with_action(S=pikepdf.Name.ImportData, F="x.fdf"), id="import"),
        pytest.param(
            with_action(S=pikepdf.Name.GoTo, Next=pikepdf.Dictionary(S=pikepdf.Name.Launch)), id="launch after going on"
        ),
        pytest.param(with_file, id="file"),
    ],
)
async def test_a_pdf_that_does_something_is_refused(change: Any) -> None:
    assert await refusal(pdf(change=change), PDF) == "document_active"


async def test_a_script_is_found_where_nothing_shows_it_and_however_its_name_is_spelt() -> None:
    assert await refusal(pdf_with_hidden_script(), PDF) == "document_active"


async def test_a_pdf_that_jumps_to_a_page_is_taken() -> None:
    looked, _ = await look(pdf(change=with_action(S=pikepdf.Name.GoTo)), PDF)
    assert looked.pages == 1


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        pytest.param(image("JPEG"), JPEG, id="jpeg"),
        pytest.param(image("PNG"), PNG, id="png"),
        pytest.param(pdf(), PDF, id="pdf"),
    ],
)
async def test_what_hangs_behind_a_document_is_gone(content: bytes, declared: str) -> None:
    _, written = await look(content + b"\nPK\x03\x04<script>alert(1)</script>", declared)
    assert b"script" not in written
    assert b"PK\x03\x04" not in written


async def test_a_pdf_loses_who_made_it() -> None:
    def name(document: pikepdf.Pdf) -> None:
        document.docinfo["/Author"] = "Ada Lovelace"
        with document.open_metadata() as metadata:
            metadata["dc:creator"] = ["Ada Lovelace"]

    content = pdf(change=name)
    assert b"Ada Lovelace" in content
    _, written = await look(content, PDF)
    assert b"Lovelace" not in written


async def test_a_bomb_stops_neither_the_service_nor_the_documents_beside_it() -> None:
    inspector, bomb, turns = DocumentInspector(), pdf_bomb(), 0
    bombs = [asyncio.create_task(look(bomb, PDF, inspector)) for _ in range(4)]
    while not all(one.done() for one in bombs):
        turns += 1
        await asyncio.sleep(0.01)
    assert turns > 20, "others had their turns meanwhile"
    assert all(isinstance(one.exception(), Unprocessable) for one in bombs)
    looked, _ = await look(image(), JPEG, inspector)
    assert looked.bytes > 0


async def test_a_process_that_dies_while_it_is_fed_makes_the_document_unreadable() -> None:
    async with DocumentInspector().inspecting("image/jpeg") as inspection:
        inspection._process.kill()
        await inspection._process.wait()
        for _ in range(40):
            await inspection.feed(bytes(65536))
        with pytest.raises(Unprocessable) as refused:
            await inspection.verdict()
    assert refused.value.code == "document_unreadable"


@pytest.mark.parametrize(
    "says",
    [
        pytest.param('{"pages": null, "bytes": 10}\n' + "x" * 11, id="more than it said"),
        pytest.param('{"pages": null, "bytes": 10}\n' + "x" * 9, id="less than it said"),
        pytest.param('{"pages": null, "bytes": 0}\n', id="nothing"),
        pytest.param('{"pages": null, "bytes": 99999999999}\n', id="more than may be kept"),
        pytest.param('{"refused": "something new"}\n', id="a code that is none"),
        pytest.param('{"pages": null', id="half a line"),
    ],
)
async def test_a_process_that_says_what_it_should_not_is_not_believed(says: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f"cat >/dev/null; printf %s '{says}'", stdin=PIPE, stdout=PIPE
    )
    inspection = Inspection(process, asyncio.Semaphore())
    try:
        with pytest.raises(Unprocessable) as refused:
            await judged(inspection)
    finally:
        await inspection.end()
    assert refused.value.code == "document_unreadable"


async def test_who_leaves_in_the_middle_leaves_no_process() -> None:
    async with DocumentInspector().inspecting("image/jpeg") as inspection:
        await inspection.feed(b"half")
        process = inspection._process
        assert process.returncode is None
    assert process.returncode is not None


@cache
def _large() -> bytes:
    return image("PNG", size=(12_000, 12_000), mode="L", compress_level=1)


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        pytest.param("cpu_seconds_max", 1, id="time"),
        pytest.param("memory_bytes_max", 96 * 1024 * 1024, id="memory"),
    ],
)
def test_the_program_itself_is_bounded(bound: str, value: int) -> None:
    bounds = {
        "declared": PNG,
        "bytes_max": 10**7,
        "stored_bytes_max": 10**8,
        "pixels_max": 10**9,
        "pages_max": 20,
        "memory_bytes_max": 8 * 1024**3,
        "cpu_seconds_max": 60,
        bound: value,
    }
    program = str(Path(inspect_document.__file__))
    content = _large()
    ended = subprocess.run(
        [sys.executable, "-I", program, json.dumps(bounds)], input=content, capture_output=True, env={}, check=False
    )
    died = ended.returncode != 0 and not ended.stdout
    assert died or json.loads(ended.stdout) == {"refused": "document_unreadable"}
