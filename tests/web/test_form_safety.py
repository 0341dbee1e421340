from __future__ import annotations

import pytest

from village_apps.web.safety import is_from_own_page

HOST = "kit.local:8080"


def comes_from(**headers: str) -> bool:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return is_from_own_page(sent.get, HOST)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://kit.local:8080"},
        {"Origin": "http://KIT.local:8080"},
        {"Referer": "http://kit.local:8080/learn/"},
        {"Origin": "null", "Referer": "http://kit.local:8080/"},
        {},
    ],
)
def test_a_form_of_the_kits_own_page_is_let_through(headers: dict[str, str]) -> None:
    assert comes_from(**headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://kit.local:8080"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://kit.local"},
        {"Origin": "http://kit.local:8080.evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Referer": "http://evil.example/http://kit.local:8080/"},
        {"Referer": "http://evil.example/"},
    ],
)
def test_a_form_of_another_page_is_refused(headers: dict[str, str]) -> None:
    assert not comes_from(**headers)
