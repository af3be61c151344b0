import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from tests.server.studio.conftest import Studio, wait_for

from lorelm.errors import BundleError
from lorelm.server.settings import ServerSettings
from lorelm.server.studio import writing
from lorelm.server.studio.writing import WritingPages


class Loading:
    """Lets models be loaded one by one."""

    def __init__(self) -> None:
        self.began: list[str | None] = []
        self.may_end = threading.Event()
        self.load = writing.create_app

    def __call__(self, settings: ServerSettings) -> Flask:
        self.began.append(settings.title)
        assert self.may_end.wait(60)
        return self.load(settings)


@pytest.fixture
def pages(studio: Studio, tiny_bundle: Path) -> WritingPages:
    for name in ("Fox", "Slow"):
        shutil.copytree(tiny_bundle, studio.state.library.root / "models" / name)
    return studio.state.writing


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def test_a_model_that_is_loaded_waits_for_no_other(
    pages: WritingPages, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fox, loading = pages.find("Fox"), Loading()
    monkeypatch.setattr(writing, "create_app", loading)
    slow = [pool.submit(pages.find, "Slow") for _ in range(2)]
    wait_for(lambda: loading.began)
    try:
        assert pool.submit(pages.find, "Fox").result(timeout=20) is fox
        assert not any(each.done() for each in slow)
    finally:
        loading.may_end.set()
    assert slow[0].result() is slow[1].result()
    assert loading.began == ["Slow"]


def test_what_could_not_be_loaded_is_tried_again(
    studio: Studio, pages: WritingPages, tmp_path: Path
) -> None:
    weights = studio.state.library.root / "models" / "Fox" / "vocabulary.json"
    weights.rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(BundleError):
            pages.find("Fox")
    (tmp_path / "aside").rename(weights)
    assert pages.find("Fox") is pages.find("Fox")


def test_a_model_that_is_no_longer_needed_while_it_loads_is_closed(
    pages: WritingPages, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, closed = Loading(), []
    monkeypatch.setattr(writing, "create_app", loading)
    monkeypatch.setattr(writing, "_MAX_OPEN", 1)
    monkeypatch.setattr(writing, "_close", closed.append)
    first = pool.submit(pages.find, "Slow")
    wait_for(lambda: loading.began == ["Slow"])
    second = pool.submit(pages.find, "Fox")
    wait_for(lambda: [path.name for path, _ in [*pages._open]] == ["Fox"])
    loading.may_end.set()
    assert first.result() is not second.result()
    wait_for(lambda: closed == [first.result()])
