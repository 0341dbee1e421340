"""Finding what installed packages add: the same answer as Python's own way, which costs more to start."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from kit.entry_points import EntryPoint, entry_points


def install(folder: Path, distribution: str, text: str) -> None:
    (folder / distribution).mkdir(parents=True)
    (folder / distribution / "entry_points.txt").write_text(text)


@pytest.mark.parametrize("group", ["village_kit.apps", "village_kit.dialects", "console_scripts", "pytest11"])
def test_it_finds_what_pythons_own_way_finds(group: str) -> None:
    theirs = sorted((point.name, point.value) for point in importlib.metadata.entry_points(group=group))
    assert [(point.name, point.value) for point in entry_points(group)] == theirs


def test_only_the_lines_of_the_group_count_and_comments_do_not(tmp_path: Path) -> None:
    install(
        tmp_path,
        "wells-1.0.dist-info",
        "[console_scripts]\nwells = wells:main\n\n"
        "[village_kit.apps]\n# wells2 = wells:OLD\nwells=wells.app:APP\n[x]\ny = z",
    )
    assert entry_points("village_kit.apps", path=[str(tmp_path)]) == [EntryPoint("wells", "wells.app:APP")]


def test_of_a_package_that_is_installed_twice_the_first_counts(tmp_path: Path) -> None:
    install(tmp_path / "first", "my_wells-2.0.dist-info", "[village_kit.apps]\nwells = new:APP")
    install(tmp_path / "second", "My.Wells-1.0.egg-info", "[village_kit.apps]\nwells = old:APP")
    path = [str(tmp_path / "missing"), str(tmp_path / "first"), str(tmp_path / "second")]
    assert entry_points("village_kit.apps", path=path) == [EntryPoint("wells", "new:APP")]


def test_a_file_that_is_no_text_hides_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info" / "entry_points.txt").write_bytes(b"[village_kit.apps]\n\xff\xfe = a:b")
    install(tmp_path, "wells-1.dist-info", "[village_kit.apps]\nwells = wells:APP")
    assert [point.name for point in entry_points("village_kit.apps", path=[str(tmp_path)])] == ["wells"]


def test_it_loads_the_object_or_the_module_that_is_named() -> None:
    assert EntryPoint("a", "pathlib:Path.name").load() is Path.name
    assert EntryPoint("a", "pathlib : Path [extra]").load() is Path
    assert EntryPoint("a", "importlib.metadata").load() is importlib.metadata
    with pytest.raises(AttributeError):
        EntryPoint("a", "pathlib:NoSuchThing").load()
    with pytest.raises(ModuleNotFoundError):
        EntryPoint("a", "no_such_module:x").load()
