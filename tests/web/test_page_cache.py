from __future__ import annotations

import gzip
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from village_apps.web.cache import PageCache, make_page


class Village:
    """A page about one subject, which counts how often it was rendered."""

    def __init__(self, limit: int = 256) -> None:
        self.cache = PageCache(limit)
        self.version = 0
        self.now_s = 0.0
        self.rendered: list[str] = []

    def read(self, key: str = "/", *, max_age_s: float | None = None) -> bytes:
        return self.cache.get(
            key,
            versions=lambda: (self.version,),
            now_s=self.now_s,
            max_age_s=max_age_s,
            render=lambda: self.render(key),
        ).body

    def render(self, key: str) -> bytes:
        self.rendered.append(key)
        return f"{key} {self.version}".encode()


def test_a_page_is_rendered_once_however_many_read_it() -> None:
    village = Village()
    assert {village.read() for _ in range(50)} == {b"/ 0"}
    assert village.rendered == ["/"]


def test_a_change_of_the_subject_renders_the_page_anew() -> None:
    village = Village()
    village.read()
    village.version += 1
    assert village.read() == b"/ 1"


def test_a_page_that_says_minutes_ago_grows_old() -> None:
    village = Village()
    village.read(max_age_s=60)
    village.now_s = 59
    village.read(max_age_s=60)
    village.now_s = 61
    village.read(max_age_s=60)
    assert len(village.rendered) == 2


def test_a_change_while_rendering_is_not_missed() -> None:
    village = Village()

    def render_slowly() -> bytes:
        village.version += 1  # somebody commits while the template runs
        return b"old"

    village.cache.get("/", versions=lambda: (village.version,), now_s=0, max_age_s=None, render=render_slowly)
    assert village.read() == b"/ 1"


def test_eight_phones_at_the_same_moment_cost_one_rendering() -> None:
    village = Village()
    begin = threading.Barrier(8)

    def render() -> bytes:
        village.rendered.append("/")
        time.sleep(0.05)
        return b"page"

    def read() -> None:
        begin.wait()
        village.cache.get("/", versions=lambda: (0,), now_s=0, max_age_s=None, render=render)

    phones = [threading.Thread(target=read) for _ in range(8)]
    for phone in phones:
        phone.start()
    for phone in phones:
        phone.join()
    assert village.rendered == ["/"]


def test_an_error_is_not_kept() -> None:
    village = Village()

    def fail() -> bytes:
        raise RuntimeError("the template is broken")

    for _ in range(2):
        try:
            village.cache.get("/", versions=lambda: (0,), now_s=0, max_age_s=None, render=fail)
        except RuntimeError:
            village.rendered.append("failed")
    assert village.rendered == ["failed", "failed"]
    assert village.read() == b"/ 0"


@given(reads=st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_the_cache_never_holds_more_than_its_limit(reads: list[str]) -> None:
    village = Village(limit=3)
    for key in reads:
        assert village.read(key) == f"{key} 0".encode()
        assert len(village.cache._pages) <= 3


def test_equal_bodies_have_equal_names_packed_or_not() -> None:
    one, other = make_page(b"page" * 100), make_page(b"page" * 100)
    assert (one.etag, one.packed) == (other.etag, other.packed)
    assert gzip.decompress(one.packed) == one.body
