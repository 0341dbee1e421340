"""Sticks known by their label, as Linux shows them and as simulated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardware.drivers.usb_sticks import UsbSticks, unescape_mount, unescape_udev
from hardware.ports import StickWatcher
from hardware.simulated.sticks import SimulatedSticks


class Linux:
    """A /dev and a /proc/self/mounts in a folder."""

    def __init__(self, folder: Path) -> None:
        self.by_label, self.mounts, self.dev = folder / "by-label", folder / "mounts", folder / "dev"
        self.dev.mkdir()
        self.mounts.write_text("proc /proc proc rw 0 0\n")

    def plug_in(self, label: str, device: str = "sda1") -> Path:
        self.by_label.mkdir(exist_ok=True)
        (self.dev / device).touch()
        (self.by_label / label).symlink_to(self.dev / device)
        return self.dev / device

    def mount(self, device: Path, path: str, options: str = "rw,nosuid") -> None:
        with self.mounts.open("a") as stream:
            stream.write(f"{device} {path} vfat {options} 0 0\n")

    def watcher(self, *labels: str) -> UsbSticks:
        return UsbSticks(labels or ["VILLAGE-KIT"], by_label=self.by_label, mounts=self.mounts)


@pytest.fixture
def linux(tmp_path: Path) -> Linux:
    return Linux(tmp_path)


def test_a_machine_without_any_labelled_disk_has_no_stick(linux: Linux) -> None:
    assert list(linux.watcher().sticks()) == []


def test_a_mounted_stick_is_found_by_its_label_whatever_the_case(linux: Linux) -> None:
    linux.mount(linux.plug_in("village-kit"), r"/media/my\040stick")
    linux.mount(linux.plug_in("PHOTOS", "sdb1"), "/media/photos")
    (stick,) = linux.watcher().sticks()
    assert (stick.label, stick.path, stick.trouble) == ("village-kit", Path("/media/my stick"), "")


def test_a_stick_that_is_not_mounted_says_what_to_do(linux: Linux) -> None:
    linux.plug_in("VILLAGE-KIT")
    (stick,) = linux.watcher().sticks()
    assert stick.path is None
    assert "not mounted" in stick.trouble


def test_a_write_protected_stick_says_so(linux: Linux) -> None:
    linux.mount(linux.plug_in("VILLAGE-KIT"), "/media/v", "ro,nosuid")
    (stick,) = linux.watcher().sticks()
    assert "write-protected" in stick.trouble


def test_a_stick_pulled_out_while_one_looks_is_named(linux: Linux) -> None:
    linux.plug_in("VILLAGE-KIT").unlink()
    (stick,) = linux.watcher().sticks()
    assert "does not answer" in stick.trouble


def test_names_with_blanks_and_umlauts_are_read_as_they_were_written() -> None:
    assert unescape_udev(r"MY\x20STICK") == "MY STICK"
    assert unescape_udev(r"caf\xc3\xa9") == "café"
    assert unescape_udev(r"odd\xff") == "odd�"
    assert unescape_mount(r"/media/a\040b\134c") == r"/media/a b\c"


def test_a_folder_is_a_simulated_stick_that_misbehaves_on_request(tmp_path: Path) -> None:
    watcher: StickWatcher = SimulatedSticks(["VILLAGE-KIT"], tmp_path / "sticks")
    assert list(watcher.sticks()) == []
    (tmp_path / "sticks" / "VILLAGE-KIT").mkdir(parents=True)
    assert watcher.sticks()[0].path == tmp_path / "sticks" / "VILLAGE-KIT"
    control = tmp_path / "sticks" / "sticks.json"
    control.write_text(json.dumps({"unmounted": ["VILLAGE-KIT"]}))
    assert watcher.sticks()[0].path is None
    control.write_text(json.dumps({"locked": ["VILLAGE-KIT"]}))
    assert "write-protected" in watcher.sticks()[0].trouble
