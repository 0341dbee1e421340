"""kit.toml says where the broker listens besides; without it nothing does."""

from __future__ import annotations

import pytest

from kit.errors import SettingsError
from kit.home import Home
from kit.run.listeners import more_listeners, own_names
from kit.settings import BrokerSettings


def test_nothing_listens_that_is_not_set(home: Home) -> None:
    assert more_listeners(home, BrokerSettings(), unit="k1") == []
    assert not (home.keys / "ca.pem").exists()


def test_each_setting_makes_its_listener(home: Home) -> None:
    settings = BrokerSettings(tls_listen="127.0.0.1:0", websocket="127.0.0.1:18083", tls_names=("well.example",))
    encrypted, browsers = more_listeners(home, settings, unit="k1")
    assert (encrypted.setting, encrypted.tls is not None, encrypted.websocket) == ("tls_listen", True, False)
    assert (browsers.setting, browsers.tls, browsers.websocket, browsers.port) == ("websocket", None, True, 18083)
    assert b"BEGIN CERTIFICATE" in (home.keys / "ca.pem").read_bytes()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (BrokerSettings(tls_listen="8883"), "tls_listen"),
        (BrokerSettings(websocket="here"), "websocket"),
        (BrokerSettings(tls_listen="127.0.0.1:0", tls_names=("not a name",)), "is no host name or address"),
    ],
)
def test_what_is_no_address_is_refused_by_its_key(home: Home, settings: BrokerSettings, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        more_listeners(home, settings, unit="k1")


def test_the_certificate_speaks_for_this_machine(home: Home) -> None:
    names = own_names(BrokerSettings(tls_names=("10.9.8.7",)))
    assert "10.9.8.7" in names
    assert any(name.endswith(".local") for name in names)
