"""A unit's home directory: everything one kit (or one city core) is, in one place."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from kit.disk import GO_ON_BYTES, free_bytes, full_words, says_full
from kit.errors import KitError

SYSTEM_HOME = Path("/var/lib/village-kit")


@dataclass(frozen=True)
class Home:
    """The paths below one home directory. Making the object touches nothing on disk."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """`kit.toml`, written by people."""
        return self.path / "kit.toml"

    @property
    def keys(self) -> Path:
        """Secrets: directory 0700, files 0600."""
        return self.path / "keys"

    @property
    def database(self) -> Path:
        """The kit's one SQLite file."""
        return self.path / "kit.db"

    @property
    def core_database(self) -> Path:
        """The city core's SQLite file, where this home is a core's."""
        return self.path / "core.db"

    @property
    def content(self) -> Path:
        """Lessons, guides and uploads."""
        return self.path / "content"

    @property
    def spool(self) -> Path:
        """Files on their way somewhere."""
        return self.path / "spool"

    @property
    def backups(self) -> Path:
        """Backups made by `kit backup`."""
        return self.path / "backups"

    @property
    def run(self) -> Path:
        """What is true only while the unit runs: process states, the simulated clock. Never backed up."""
        return self.path / "run"

    @property
    def ledger(self) -> Path:
        """What each process acknowledged since its last clean end, and the history of unclean ones. Never backed up."""
        return self.path / "ledger"

    @property
    def set_aside(self) -> Path:
        """Stores that were damaged or replaced by a backup, untouched. Never backed up."""
        return self.path / "set-aside"

    @property
    def reserve(self) -> Path:
        """Room on the disk that nobody else can take; see `kit.store.disk_room`."""
        return self.path / "reserve"

    @property
    def clock_file(self) -> Path:
        """Written by a simulation so that every process shows its time."""
        return self.run / "clock.json"

    @property
    def services_file(self) -> Path:
        """The supervisor's view of its services, as `kit status` shows them."""
        return self.run / "services.json"

    @property
    def log(self) -> Path:
        """One log file per service."""
        return self.path / "log"

    def prepare(self) -> None:
        """Make the directories that are missing; on a full disk the reserve gives way to that.

        Raises:
            KitError: the home cannot be written; the sentence says why and what to do.
        """
        try:
            self._make_directories()
            if free_bytes(self.path) < GO_ON_BYTES:
                self.reserve.unlink(missing_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC and not self.reserve.exists() and self._has_lived():
                return  # what can be served without room is served
            if error.errno != errno.ENOSPC or not self.reserve.exists():
                raise KitError(explain_home_error(self.path, error)) from error
            # a unit that starts on a full disk still warns, and takes receipts and messages
            self.reserve.unlink(missing_ok=True)
            try:
                self._make_directories()
            except OSError as again:
                if again.errno != errno.ENOSPC or not self._has_lived():
                    raise KitError(explain_home_error(self.path, again)) from again

    def _has_lived(self) -> bool:
        return self.run.is_dir() and (self.database.exists() or self.core_database.exists())

    def _make_directories(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        for directory in (self.content, self.spool, self.backups, self.run, self.log):
            directory.mkdir(exist_ok=True)
        self.keys.mkdir(mode=0o700, exist_ok=True)
        probe = self.run / ".writable"
        probe.write_bytes(b"x" * 4096)
        probe.unlink(missing_ok=True)  # another process may be preparing the same home


def explain_home_error(path: Path, error: OSError) -> str:
    """The sentence for a home that cannot be used, by what the operating system said."""
    if error.errno == errno.ENOSPC:
        return f"{full_words(path)}; free some space, or choose another place with --home DIR"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return (
            f"{path} cannot be written ({error.strerror}); choose another place with --home DIR, "
            f"or mend its permissions"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path} is not a directory; choose another place with --home DIR"
    return f"{path} cannot be used as a home ({error.strerror}); choose another place with --home DIR"


def find_home(flag: str | None, environment: dict[str, str] | None = None) -> Home:
    """Where this unit lives: `--home`, else `$KIT_HOME`, else /var/lib/village-kit if writable, else ~/.village-kit."""
    environment = dict(os.environ) if environment is None else environment
    if flag:
        return Home(Path(flag).expanduser().absolute())
    if environment.get("KIT_HOME"):
        return Home(Path(environment["KIT_HOME"]).expanduser().absolute())
    if os.access(SYSTEM_HOME, os.W_OK):
        return Home(SYSTEM_HOME)
    return Home(Path.home() / ".village-kit")


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all; it is on disk when this returns.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    _write_aside(file, content, mode=0o600).rename(file)
    _flush_folder(file.parent)


def write_new(file: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all; one that is there stays.

    Raises:
        FileExistsError: somebody else has written it.
        OSError: it cannot be written.
    """
    temporary = _write_aside(file, content, mode=0o666)
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise
    except OSError:  # FAT knows no links
        if file.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file)) from None
        temporary.rename(file)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(file.parent)


STATE_PAD_BYTES = 1024
"""A state takes a block of the file system anyway; filled up with spaces, the next one can be written over it."""


def write_state(file: Path, text: str) -> bool:
    """Write a piece of JSON that is true only while the unit runs; whether it is there. It is not flushed.

    Whole, by renaming; on a full disk over the old one, if that is as long.

    Raises:
        OSError: it cannot be written, and the disk is not full.
    """
    content = text.encode()
    content = content.ljust(-(-len(content) // STATE_PAD_BYTES) * STATE_PAD_BYTES)
    temporary = file.with_name(f"{file.name}.new")
    try:
        temporary.write_bytes(content)
        temporary.rename(file)
    except OSError as error:
        if not says_full(error):
            raise
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        return _overwrite(file, content)
    return True


def blank_state(file: Path) -> None:
    """What it says is not true any more; the room it takes is kept for the next one."""
    if not _overwrite(file, b""):
        file.unlink(missing_ok=True)


def _overwrite(file: Path, content: bytes) -> bool:
    try:
        with file.open("r+b") as stream:
            held = os.fstat(stream.fileno()).st_size
            if held < len(content):
                return False
            stream.write(content.ljust(held))
    except OSError:
        return False
    return True


def _write_aside(file: Path, content: bytes, *, mode: int) -> Path:
    temporary = file.with_suffix(f"{file.suffix}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return temporary


def _flush_folder(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
