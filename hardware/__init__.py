"""Sensors, siren, battery and radio: ports, real drivers, and simulated devices that ship and misbehave on request.

Invariant: nothing here imports the kit.
"""
