"""Simulated devices: real adapters that speak the real protocol.

Used by `kit run --sim`, the docs and the tests alike; they misbehave on request.
"""
