"""Chaos: a kit and its city core under load, killed again and again; then every acknowledgement is called in.

`script/chaos` runs it; docs/chaos.md describes it.
"""
