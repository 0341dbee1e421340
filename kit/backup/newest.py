"""The newest good backup of a unit with a damaged store, of which as little is unpacked as is asked for."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kit.backup.archive import BackupError, Head, unpack
from kit.backup.checking import check_store
from kit.backup.making import backup_secret, list_backups
from kit.backup.picking import STORE, pick_small
from kit.backup.restoring import unpacked
from kit.backup.small_store import SMALL
from kit.home import Home
from kit.store.legible import list_of
from kit.store.table_list import TableList, list_file, load_list


class NewestBackup:
    """The newest backup that proves good, unpacked when it is first asked for.

    Its small tables are there within seconds: a backup begins with them, and of one by an earlier version they are
    picked out. The whole of it takes as long as the card takes to write it.

    Args:
        home: the unit.
        work: a folder on its disk.
        files: backups, the newest first.
        stack: takes the unpacked files away at its end.
    """

    def __init__(self, home: Home, work: Path, files: Sequence[tuple[Path, Head]], stack: ExitStack) -> None:
        self._home, self._work, self._files, self._stack = home, work, files, stack
        self._found: tuple[Path, int, Path, int] | None = None
        self._begun: tuple[Path, int, Path] | None = None
        self._looked = self._looked_first = False

    def found(self) -> Path | None:
        """Its store; None where no backup is good."""
        if not self._looked:
            self._looked = True
            self._found = self._unpack()
        return None if self._found is None else self._found[2]

    def begins(self) -> Path | None:
        """Its store without the large tables, of the schema that it was made with; None where no backup is good."""
        if not self._looked_first:
            self._looked_first = True
            self._begun = self._unpack_first()
        return None if self._begun is None else self._begun[2]

    def told(self) -> tuple[str, int] | None:
        """(file, Unix ms) of it."""
        return None if self.found() is None or self._found is None else (str(self._found[0]), self._found[1])

    def begins_told(self) -> tuple[str, int] | None:
        """(file, Unix ms) of the one that `begins` is of."""
        return None if self._begun is None else (str(self._begun[0]), self._begun[1])

    def rows(self) -> int:
        """How many rows it holds."""
        return 0 if self._found is None else self._found[3]

    def store_bytes(self) -> int | None:
        """What the store of the newest one takes when it is unpacked; None where there is none that says so."""
        for file, _ in self._files:
            with contextlib.suppress(BackupError, KeyError, TypeError):
                manifest = unpack(file, backup_secret(self._home), None, only=("the manifest alone",))
                return int(manifest["files"][STORE]["bytes"])
        return None

    def take(self, target: Path) -> Path:
        """Its store moved to `target`."""
        store = self.found()
        assert store is not None, "asked for only where one was found"
        return store.rename(target)

    def table_list(self) -> TableList | None:
        """Its list of tables."""
        begins = self.begins()
        kept = None if begins is None else load_list(list_file(begins.with_name(STORE)))
        if kept is not None:
            return kept
        store = self.found()
        return None if store is None or not store.exists() else list_of(store)

    def _unpack(self) -> tuple[Path, int, Path, int] | None:
        for file, head in self._files:
            try:
                folder, manifest = self._stack.enter_context(unpacked(file, backup_secret(self._home), self._work))
            except BackupError:
                continue
            return file, head.created_ms, folder / "kit.db", sum(manifest["tables"].values())
        return None

    def _unpack_first(self) -> tuple[Path, int, Path] | None:
        for file, head in self._files:
            folder = emptied(self._work / "begins-in-work")
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                wanted = (SMALL, list_file(folder / STORE).name)
                manifest = unpack(file, backup_secret(self._home), folder, only=wanted)
                if SMALL in manifest["files"]:
                    check_store(folder / SMALL)
                elif pick_small(file, backup_secret(self._home), folder) is None:
                    return None  # the newest is worth waiting for, until it is unpacked whole
            except BackupError:
                continue
            return file, head.created_ms, folder / SMALL
        return None


@contextmanager
def newest_backup(home: Home, work: Path, folders: Sequence[Path]) -> Iterator[NewestBackup]:
    """The newest good backup in these folders and in the home's own."""
    files = [each for place in {home.backups, *folders} for each in list_backups(place)]
    with ExitStack() as stack:
        yield NewestBackup(home, work, sorted(files, key=lambda each: each[1].created_ms, reverse=True), stack)


def emptied(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder
