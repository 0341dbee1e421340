"""The composition root: the one package that names real adapters and starts processes.

- `unit`: `kit run`, the whole unit in the foreground.
- `core`: `kit core run`, the city core likewise.
- `services`: what each process of the unit does (`kit service NAME`, also what systemd starts).
- `adapters`: settings → siren, battery, modem, links.
- `schema`: every migration of the unit's store; `before_serving`: what is done once, in a child that ends.
- `simulation`, `story`: `--sim`, a recorded night on an accelerated clock, told in plain lines.
"""

from __future__ import annotations

import argparse


def run_unit(arguments: argparse.Namespace) -> int:
    """`kit run`."""
    if arguments.sim:
        from kit.run import simulation

        return simulation.run_night(arguments)
    from kit.run import unit

    return unit.run(arguments)


def run_service(arguments: argparse.Namespace) -> int:
    """`kit service NAME`."""
    if arguments.name == "broker":
        _spare_openssl(arguments)
    from kit.run import services

    return services.run(arguments)


def run_core(arguments: argparse.Namespace) -> int:
    """`kit core run`."""
    from kit.run import core

    return core.run(arguments)


def _spare_openssl(arguments: argparse.Namespace) -> None:
    from kit.errors import KitError
    from kit.home import find_home
    from kit.run.without_tls import import_without_tls, speaks_tls
    from kit.settings import load_settings

    try:
        settings = load_settings(find_home(arguments.home).settings_file).broker
    except (KitError, OSError):
        return  # the service will say so
    if not speaks_tls(settings):
        import_without_tls()
