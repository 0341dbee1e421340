"""Sneakernet: sealed records and acknowledgements as BPv7 bundles on a USB stick or in a file."""
