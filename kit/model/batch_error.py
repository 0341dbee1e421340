"""What is wrong with a batch."""

from __future__ import annotations


class BatchError(ValueError):
    """These bytes are no batch of readings."""
