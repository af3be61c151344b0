"""What many drafts cost: `python bench/drafts.py [URL] [NUM_DRAFTS]`, in a new database.

Keeps made-up drafts of one browser, then asks a real application as the page does.
"""

import random
import statistics
import sys
import tempfile
import time

from lorelm.history.drafts import DraftStore
from lorelm.history.store import HistoryStore
from lorelm.history.tables import DRAFTS
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

from flask.testing import FlaskClient
from sqlalchemy import select

WORDS = [f"{start}{end}" for start in ("ba", "do", "fe", "gi", "mu") for end in ("rn", "ll", "x")]
NUM_WORDS = 400
REPEATS = 9


def main(url: str, num_drafts: int) -> None:
    app = create_app(ServerSettings(history=url))
    client = app.test_client()
    client.get("/")
    # Keep one by the API, whose id tells which browser the client is.
    first = client.post("/api/drafts", json={"name": "first", "content": ["x"]}).get_json()
    began = time.perf_counter()
    fill(url, first["id"], num_drafts - 1)
    print(f"{num_drafts:,} drafts kept in {time.perf_counter() - began:.0f} s")
    page = client.get("/api/drafts").get_json()
    for _ in range(num_drafts // 40):
        page = client.get(f"/api/drafts?after={page['next']}").get_json()
    middle = page["drafts"][0]
    report(client, "the writing page", "/")
    report(client, "first page of drafts", "/api/drafts")
    report(client, "a page from the middle", f"/api/drafts?after={page['next']}")
    report(client, "a word that is everywhere", "/api/drafts?q=BARN")
    report(client, "a word that is nowhere", "/api/drafts?q=Mordor")
    report(client, "one draft", f"/api/drafts/{middle['id']}")
    server_state(app).close()


def fill(url: str, first_id: str, num_drafts: int) -> None:
    chance = random.Random(1)
    with HistoryStore(url) as store:
        with store.reading() as connection:
            query = select(DRAFTS.c.browser).where(DRAFTS.c.id == first_id)
            browser = connection.execute(query).scalar_one()
        drafts = DraftStore(store)
        for number in range(num_drafts):
            words = [
                [chance.choice(WORDS), -round(8 * chance.random(), 3)] for _ in range(NUM_WORDS)
            ]
            content = [part for word in words for part in (word, " ")]
            drafts.add(
                browser, name=f"Draft {number}", content=content, is_starred=number % 50 == 0
            )


def report(client: FlaskClient, what: str, address: str) -> None:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        response = client.get(address)
        times.append(time.perf_counter() - began)
        assert response.status_code == 200, response.get_data(as_text=True)
    print(f"{what:28} {1000 * statistics.median(times):7.1f} ms, {len(response.data):,} bytes")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        address = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/drafts.db"
        main(address, int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
