"""Real devices behind the ports of `hardware.ports`; named only by `kit.run`."""
