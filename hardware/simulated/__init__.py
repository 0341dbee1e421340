"""Simulated devices: real adapters that speak the real protocol, used by `kit run --sim`, the docs and the tests alike."""
