"""A broker that speaks no TLS maps no OpenSSL; one that does, does."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_ports
from week_of_a_unit import service

from kit.certificates import authority_file
from kit.home import Home
from kit.run.without_tls import speaks_tls
from kit.settings import BrokerSettings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "kit")
    made.prepare()
    return made


def mapped(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def test_a_broker_without_tls_maps_no_openssl(home: Home) -> None:
    (port,) = free_ports(1)
    home.settings_file.write_text(f'[broker]\nlisten = "127.0.0.1:{port}"\n')
    with service(home, "broker", ready=home.run / "broker.self") as broker:
        assert "libsqlite3" in mapped(broker.pid)
        assert "libcrypto" not in mapped(broker.pid)
        assert "libssl" not in mapped(broker.pid)


def test_a_broker_with_tls_speaks_it(home: Home) -> None:
    port, encrypted = free_ports(2)
    home.settings_file.write_text(
        f'[broker]\nlisten = "127.0.0.1:{port}"\ntls_listen = "127.0.0.1:{encrypted}"\ntls_names = ["127.0.0.1"]\n'
    )
    with service(home, "broker", ready=home.run / "broker.self"):
        context = ssl.create_default_context(cafile=str(authority_file(home)))
        with (
            socket.create_connection(("127.0.0.1", encrypted), timeout=60) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.1") as sealed,
        ):
            assert sealed.version() in ("TLSv1.2", "TLSv1.3")


def test_an_external_broker_may_want_tls() -> None:
    assert speaks_tls(BrokerSettings(kind="external", external="mosquitto:8883"))
    assert speaks_tls(BrokerSettings(tls_listen="0.0.0.0:8883"))
    assert not speaks_tls(BrokerSettings())


def test_hashes_are_the_same_without_openssl_and_ssl_can_be_imported_afterwards() -> None:
    code = (
        "from kit.run.without_tls import import_without_tls; import_without_tls()\n"
        "import sys, asyncio, hashlib, hmac; assert '_hashlib' not in sys.modules and 'ssl' not in sys.modules\n"
        "print(hashlib.sha256(b'x').hexdigest(), hashlib.blake2b(b'x', digest_size=6).hexdigest(),"
        " hmac.digest(b'k', b'x', 'sha256').hex())\n"
        "import ssl; ssl.create_default_context()"
    )
    lean = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    usual = (
        "import hashlib, hmac\n"
        "print(hashlib.sha256(b'x').hexdigest(), hashlib.blake2b(b'x', digest_size=6).hexdigest(),"
        " hmac.digest(b'k', b'x', 'sha256').hex())"
    )
    assert lean == subprocess.run([sys.executable, "-c", usual], capture_output=True, text=True, check=True).stdout
