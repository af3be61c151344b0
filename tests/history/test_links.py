import re
from pathlib import Path
from typing import Any

import pytest
from tests.errors import raises_code

from lorelm.errors import DraftError, UnknownDraftError
from lorelm.history import links as module
from lorelm.history.links import LinkStore
from lorelm.history.store import HistoryStore

pytestmark = pytest.mark.system

CONTENT: list[Any] = ["The fox ", ["sat", -1.5]]


@pytest.fixture
def links(store: HistoryStore) -> LinkStore:
    return LinkStore(store)


def test_who_has_the_secret_reads_the_text(links: LinkStore) -> None:
    link, secret = links.add("b1", name="The mill", content=CONTENT, model="tales")
    read = links.read(secret)
    assert read is not None
    assert (read.name, read.content, read.model) == ("The mill", CONTENT, "tales")
    assert links.find("b1") == [link]
    assert link.content is None


def test_secrets_are_long_and_all_different(links: LinkStore) -> None:
    secrets = {links.add("b1", name="x", content=[])[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(re.fullmatch(r"[\w-]{32}", secret) for secret in secrets)


def test_neither_ids_nor_guesses_nor_hashes_open_a_link(links: LinkStore) -> None:
    link, secret = links.add("b1", name="x", content=CONTENT)
    hashed = module._hash(secret)
    for guess in (link.id, hashed, "", secret[:-1], secret + "x", secret.swapcase(), "\ud800", "%"):
        assert links.read(guess) is None


def test_a_revoked_link_leads_nowhere(links: LinkStore) -> None:
    link, secret = links.add("b1", name="x", content=CONTENT)
    other, other_secret = links.add("b1", name="y", content=CONTENT)
    links.revoke("b1", link.id)
    assert links.read(secret) is None
    assert links.read(other_secret) is not None
    assert links.find("b1") == [other]
    with raises_code(UnknownDraftError, "draft.unknown"):
        links.revoke("b1", link.id)


def test_only_its_writer_revokes_a_link(links: LinkStore) -> None:
    link, secret = links.add("b1", name="x", content=CONTENT)
    with raises_code(UnknownDraftError, "draft.unknown"):
        links.revoke("b2", link.id)
    assert links.find("b2") == []
    assert links.read(secret) is not None


def test_the_number_of_links_is_limited(links: LinkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINKS", 1)
    links.add("b1", name="1", content=[])
    with raises_code(DraftError, "draft.too_many_links"):
        links.add("b1", name="2", content=[])


def test_the_file_holds_no_secret_and_after_revoking_no_text(
    sqlite_store: HistoryStore, tmp_path: Path
) -> None:
    links = LinkStore(sqlite_store)
    link, secret = links.add("b1", name="x", content=["a most private text"])
    files = [*tmp_path.iterdir()]
    assert any(b"private" in file.read_bytes() for file in files)
    assert not any(secret.encode() in file.read_bytes() for file in files)
    links.revoke("b1", link.id)
    assert not any(b"private" in file.read_bytes() for file in tmp_path.iterdir())
