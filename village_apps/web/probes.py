"""Captive-portal probes: the addresses at which phones and laptops test whether they are on the internet.

Answered with a redirect to the first page, which is how each of them learns that there is a portal, and opens it.
Android expects status 204, Apple the word Success, Windows and Firefox a fixed text; none of them must get it here,
because a phone that believes itself online would open no portal.
"""

from __future__ import annotations

from flask import Blueprint, Response

PROBES = (
    "/generate_204",  # Android, ChromeOS
    "/gen_204",
    "/hotspot-detect.html",  # Apple
    "/library/test/success.html",
    "/connecttest.txt",  # Windows 10 and later
    "/redirect",
    "/ncsi.txt",  # Windows before
    "/success.txt",  # Firefox
    "/canonical.html",
    "/check_network_status.txt",  # NetworkManager
    "/nm-check.txt",
    "/kindle-wifi/wifistub.html",
)


def blueprint() -> Blueprint:
    """The routes of the probes."""
    routes = Blueprint("probes", __name__)
    for path in PROBES:
        routes.add_url_rule(path, path.strip("/").replace("/", "_").replace(".", "_"), _to_the_portal)
    return routes


def _to_the_portal() -> Response:
    return Response(status=302, headers={"Location": "/", "Cache-Control": "no-store"})
