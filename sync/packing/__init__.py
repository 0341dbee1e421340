"""Compression for links that count bytes: numbers that were measured, and short texts. Pure, integers only.

Invariant: what one machine packs, every other unpacks to the same bits. Nothing that is coded depends on a float, a
hash order or a clock; tables of probabilities are made by integer recurrences that are written down here.

It lies below both `kit.model` and `sync.protocol` and imports neither: a reading's batch and a message's text need it.
"""
