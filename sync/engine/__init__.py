"""Which record leaves by which link, and when: the loop around the sans-IO sessions, on a kit and on the core alike."""

from sync.engine.engine import SyncEngine
from sync.engine.identity import HeldIdentity
from sync.engine.watched import LinkReport

__all__ = ["HeldIdentity", "LinkReport", "SyncEngine"]
