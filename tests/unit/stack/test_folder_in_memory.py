"""A server's files lie in memory for as long as their tests run, and no longer."""

import os
from pathlib import Path

from tallystick.stack.folder_lock import folder_lock
from tests.support.memory import folder_in_memory


def test_it_is_in_memory_and_gone_at_the_end(tmp_path: Path) -> None:
    with folder_in_memory(tmp_path / "disk", memory=tmp_path, room_bytes_min=1) as folder:
        assert folder.parent == tmp_path
        (folder / "table").write_text("rows")
    assert list(tmp_path.iterdir()) == []


def test_without_room_it_is_where_it_would_have_been(tmp_path: Path) -> None:
    with folder_in_memory(tmp_path / "disk", memory=tmp_path, room_bytes_min=2**80) as folder:
        assert folder == tmp_path / "disk"
    with folder_in_memory(tmp_path / "disk", memory=tmp_path / "no such place") as folder:
        assert folder == tmp_path / "disk"


def test_what_killed_tests_left_is_removed_and_what_others_use_stays(tmp_path: Path) -> None:
    left, used, young = (tmp_path / f"tallystick-tests-{name}" for name in ("left", "used", "young"))
    for folder in (left, used, young):
        folder.mkdir()
    with folder_lock(used), folder_lock(left):
        pass
    for folder in (left, used):
        os.utime(folder, (0, 0))
    with folder_lock(used), folder_in_memory(tmp_path / "disk", memory=tmp_path, room_bytes_min=1):
        assert not left.exists()
        assert used.exists()
        assert young.exists()
