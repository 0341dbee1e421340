"""What a fresh machine gets: one wheel, locked requirements, and unit files that run the commands that exist."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"kit", "sync", "tui", "hardware", "village_apps"}


def test_no_other_installed_distribution_provides_our_packages() -> None:
    for distribution in distributions():
        if distribution.metadata["Name"] == "village-kit":
            continue
        tops = {str(file).split("/", 1)[0].removesuffix(".py") for file in distribution.files or ()}
        assert not tops & PACKAGES, distribution.metadata["Name"]


@pytest.mark.parametrize("name", ["run", "dev"])
def test_the_lock_pins_every_requirement_with_hashes_and_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert not re.search(r"https?://|file:|--index-url|--find-links", text)
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", text))
    assert len(entries) > 30
    for entry in entries:
        assert re.match(r"[a-z0-9.\-_\[\]]+==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_run_lock_is_part_of_the_dev_lock() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"(?m)^([a-z0-9.\-_]+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text()))

    assert pins("run") <= pins("dev")


def test_the_wheel_carries_every_file_that_is_not_code(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True, cwd=ROOT)
    tracked = [file for file in listed.stdout.split() if (ROOT / file).exists()]
    source = tmp_path / "source"  # a copy, because building leaves its traces beside the sources
    for file in tracked:
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, source / file)
    build = f"import setuptools.build_meta as b; b.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], check=True, capture_output=True, cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    missing = {file for file in tracked if file.split("/", 1)[0] in PACKAGES and file not in packed}
    assert not missing


def test_every_unit_file_starts_a_service_that_exists() -> None:
    from kit.run.unit import SERVICES

    units = list((ROOT / "kit" / "data" / "systemd").glob("*.service"))
    started = {match for unit in units for match in re.findall(r"kit service (\w+)", unit.read_text())}
    assert started == set(SERVICES)
