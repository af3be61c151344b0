"""The server behind real proxies: nginx as in docs/guides/proxies.md, and Jupyter's."""

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, expect

pytestmark = pytest.mark.system

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "proxies.md").read_text(
    encoding="utf-8"
)
[DOCUMENTED_LOCATION] = re.findall(r"```nginx\n(.*?)```", DOCUMENT, re.DOTALL)
[DOCUMENTED_OPTIONS] = set(re.findall(r"^lorelm serve my-model (.*)$", DOCUMENT, re.M))
[PROXY_PASS] = re.findall(r"proxy_pass \S+;", DOCUMENTED_LOCATION)

NGINX, PLAIN_NGINX = "nginx as documented", "nginx that only passes on"
JUPYTER, PLAIN_JUPYTER = "Jupyter as documented", "Jupyter that is not believed"

LONG = {"prompt": "", "max_len": 10_000, "min_len": 10_000, "num_alternatives": 0}


@dataclass(frozen=True, kw_only=True)
class Proxied:
    """A server behind a proxy.

    Attributes:
        url: its address outside.
        inside: its own address.
        token: token of the Jupyter server; None behind nginx.
    """

    url: str
    inside: str
    token: str | None = None

    def ask(self, path: str, body: object = None, **headers: str) -> http.client.HTTPResponse:
        """Send a request through the proxy and return the response, whatever its status."""
        if self.token:
            headers["Authorization"] = f"token {self.token}"
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"} | headers,
        )
        try:
            response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            return error
        return response

    def read(self, path: str, **headers: str) -> str:
        with self.ask(path, **headers) as response:
            return response.read().decode()

    def stream(self, **body: object) -> http.client.HTTPResponse:
        """Open a stream and read its first line."""
        response = self.ask("api/generate", body | {"stream": True}, Accept="text/event-stream")
        assert response.readline() == b"event: start\n"
        return response

    def metric(self, name: str) -> float:
        """Return a metric of the server."""
        with urllib.request.urlopen(self.inside + "metrics") as response:
            lines = response.read().decode().splitlines()
        values = [line.split()[-1] for line in lines if line.startswith(name)]
        return float(values[0]) if values else 0

    def wait_for(self, name: str, value: float) -> None:
        give_up = time.monotonic() + 30
        while self.metric(name) != value:
            assert time.monotonic() < give_up
            time.sleep(0.01)


StartProxied = Callable[..., Proxied]


@pytest.fixture(scope="module")
def start(
    request: pytest.FixtureRequest, start_server: Callable[..., str], tiny_bundle: Path
) -> StartProxied:
    """Start a server behind a proxy; the same options give the same server."""

    @cache
    def start_proxied(proxy: str, *options: str) -> Proxied:
        hops = DOCUMENTED_OPTIONS.split() if proxy in (NGINX, JUPYTER) else []
        inside = start_server(str(tiny_bundle), "--max-tokens-limit", "10000", *hops, *options)
        if proxy in (JUPYTER, PLAIN_JUPYTER):
            url, token = request.getfixturevalue("jupyter")
            port = urlsplit(inside).port
            return Proxied(url=f"{url}proxy/{port}/", inside=inside, token=token)
        location = f"location /some/prefix/ {{ {PROXY_PASS} }}"
        if proxy == NGINX:
            location = DOCUMENTED_LOCATION
        location = location.replace("http://127.0.0.1:5000/", inside)
        url = request.getfixturevalue("start_nginx")(location)
        return Proxied(url=f"{url}some/prefix/", inside=inside)

    return start_proxied


@pytest.fixture(scope="module", params=[NGINX, PLAIN_NGINX, JUPYTER, PLAIN_JUPYTER])
def proxied(request: pytest.FixtureRequest, start: StartProxied) -> Proxied:
    return start(request.param, "--num-slots", "1")


def let_in(context: BrowserContext, proxied: Proxied) -> None:
    """Log a browser in to Jupyter."""
    if proxied.token:
        assert context.request.get(f"{proxied.url}healthz?token={proxied.token}").ok


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def page(browser: Browser, proxied: Proxied, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Fail on failed requests, foreign addresses and console messages."""
    complaints: list[str] = []
    has_script: bool = request.param
    with closing(browser.new_context(java_script_enabled=has_script)) as context:
        let_in(context, proxied)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on(
            "requestfailed",
            lambda asked: complaints.extend(failures(asked, has_script=has_script)),
        )
        page.on("response", lambda answer: complaints.extend(faults(answer, proxied)))
        yield page
    assert complaints == []


def test_the_links_of_the_whole_history_work(browser: Browser, start: StartProxied) -> None:
    proxied = start(PLAIN_NGINX, "--admin-key", "mellon")
    proxied.ask("api/generate", {"prompt": "The fox"}).close()
    credentials = {"username": "", "password": "mellon"}
    with closing(browser.new_context(http_credentials=credentials)) as context:
        page = context.new_page()
        for link, address in (("The API", "docs"), ("your history", "history")):
            page.goto(f"{proxied.url}history/whole")
            page.get_by_role("button", name="Generate again").first.click()
            page.wait_for_url(proxied.url)  # the script has put the text into its place
            page.get_by_role("link", name=link).click()
            page.wait_for_url(proxied.url + address)


def failures(asked: Request, *, has_script: bool) -> list[str]:
    # Who leaves a page at once does not wait for its icon; who runs no scripts fetches none.
    is_unwanted = not has_script and asked.url.endswith(".js")
    is_no_matter = asked.failure == "net::ERR_ABORTED" or is_unwanted
    return [] if is_no_matter else [f"{asked.failure}: {asked.url}"]


def faults(answer: Response, proxied: Proxied) -> list[str]:
    is_well = answer.status < 400 and answer.url.startswith(proxied.url)
    return [] if is_well else [f"{answer.status}: {answer.url}"]


def expect_style(page: Page) -> None:
    """Wait for the style sheet: without it, the text is as wide as the window."""
    expect(page.locator("main")).not_to_have_css("max-width", "none")


def go_on(page: Page, prompt: str) -> str:
    """Continue a prompt on the page and return the text."""
    page.get_by_label("Your text").fill(prompt)
    page.get_by_role("button", name="Generate").click()
    expect(
        page.locator(".sample, #surface:not([aria-busy])").locator(".word").first
    ).to_be_visible()
    return page.locator(".sample, #surface").inner_text()


@pytest.mark.parametrize("page", [True], ids=["with script"], indirect=True)
def test_the_pages_load_their_files_and_link_to_each_other(page: Page, proxied: Proxied) -> None:
    page.goto(proxied.url)
    for link, name in (("How good is the model?", "model"), ("Back to the editor", "")):
        expect_style(page)
        page.get_by_role("link", name=link).click()
        expect(page).to_have_url(proxied.url + name)
    page.goto(proxied.url + "docs")
    expect_style(page)
    # Not opened: of a file without an icon of its own, a browser asks the host for one.
    address = page.get_by_role("link", name="openapi.json").evaluate("link => link.href")
    assert address == proxied.url + "openapi.json"


def test_the_page_continues_a_prompt(page: Page, proxied: Proxied) -> None:
    page.goto(proxied.url)
    text = go_on(page, "The fox")
    assert text.startswith("The fox")
    assert len(text) > len("The fox")
    expect(page).to_have_url(proxied.url)


def test_the_history_keeps_regenerates_and_deletes(page: Page, proxied: Proxied) -> None:
    page.goto(proxied.url)
    go_on(page, "The fox")
    kept = page.locator("article")
    page.get_by_role("link", name="your history").click()
    expect(page).to_have_url(proxied.url + "history")
    page.get_by_role("button", name="Generate again").click()
    expect(page.get_by_role("status")).to_have_text("Generated again: the same text.")
    expect(page).to_have_url(proxied.url)
    page.goto(proxied.url + "history")
    expect(kept).to_have_count(2)
    page.get_by_role("button", name="Delete").first.click()
    expect(kept).to_have_count(1)
    page.get_by_text("Delete all", exact=True).click()
    page.get_by_role("button", name="Yes, delete all").click()
    expect(kept).to_have_count(0)
    expect(page).to_have_url(proxied.url + "history")


@pytest.mark.slow
def test_drafts_and_links_work_behind_a_proxy(browser: Browser, start: StartProxied) -> None:
    for proxy in (NGINX, JUPYTER):
        proxied = start(proxy, "--num-slots", "1", "--share-links")
        with closing(browser.new_context()) as context:
            let_in(context, proxied)
            page = context.new_page()
            page.goto(proxied.url)
            page.locator("#surface").click()
            page.keyboard.type("The fox")
            name = page.get_by_label("Name of the draft")
            name.fill("The mill")
            page.keyboard.press("Enter")
            expect(page.locator(".draft small")).to_have_text("Saved.")
            with page.expect_response(lambda reply: reply.request.method == "PATCH") as renamed:
                name.fill("The river")
                page.keyboard.press("Tab")
            with page.expect_response(lambda reply: reply.request.method == "PUT") as saved:
                page.locator("#surface").click()
                page.keyboard.type(" sat")
            page.get_by_role("button", name="Share…").click()
            page.get_by_role("button", name="Make a link").click()
            address = page.get_by_label("Link to The river").input_value()
            assert address.startswith(f"{proxied.url}shared/")
            assert "sat" in context.request.get(address).text()
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Drafts…").click()
            with page.expect_response(lambda reply: reply.request.method == "DELETE") as deleted:
                page.get_by_role("button", name="Delete The river").click()
            assert all(event.value.ok for event in (renamed, saved, deleted))


def test_an_error_page_loads_its_files(browser: Browser, proxied: Proxied) -> None:
    statuses: dict[str, int] = {}
    with closing(browser.new_context()) as context:
        let_in(context, proxied)
        page = context.new_page()
        page.on("response", lambda answer: statuses.update({answer.url: answer.status}))
        for path in ("nowhere", "no/such/place", "no/such/folder/"):
            page.goto(proxied.url + path)
            assert page.get_by_role("heading").inner_text() == "Not found"
            expect_style(page)
            assert statuses.pop(proxied.url + path) == 404
    files = ("style.css", "colors.css", "icon.svg")
    assert set(statuses) <= {proxied.url + f"static/{name}" for name in files}
    assert max(statuses.values()) < 400


def test_the_documented_nginx_closes_the_metrics(start: StartProxied) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(start(NGINX).url + "metrics", timeout=20)
    with refused.value as answer:  # it holds the connection
        assert answer.code == 404


def test_events_are_not_buffered(proxied: Proxied) -> None:
    """The one slot is taken, so no further event can push the first one through a buffer."""
    inside = Proxied(url=proxied.inside, inside=proxied.inside)
    with ExitStack() as others:
        for _ in range(5):
            others.enter_context(inside.stream(**LONG))
        response = proxied.stream(prompt="The", max_len=5, min_len=5, num_alternatives=0)
        assert '"seeds"' in response.readline().decode()
        assert proxied.metric("lorelm_queue_depth") >= 1  # it is the last in the queue
    with response:
        rest = response.read().decode()
    assert rest.count('"alternatives"') == 5
    assert rest.endswith("event: done\ndata: {}\n\n")


@pytest.mark.parametrize("proxy", [NGINX, PLAIN_NGINX])
def test_nginx_passes_on_that_the_client_disconnected(start: StartProxied, proxy: str) -> None:
    proxied = start(proxy)
    with proxied.stream(**LONG, num_samples=16):
        proxied.wait_for("lorelm_slots_in_use", 16)
    proxied.wait_for("lorelm_slots_in_use", 0)
    assert proxied.metric("lorelm_step_seconds_count") < 10_000  # so long they all would have been


@pytest.mark.parametrize("proxy", [NGINX, PLAIN_NGINX])
def test_nginx_as_documented_gives_each_request_its_id(start: StartProxied, proxy: str) -> None:
    with start(proxy).ask("healthz", **{"X-Request-Id": "mine"}) as response:
        given = response.headers["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{32}" if proxy == NGINX else "mine", given)


def test_behind_jupyter_a_disconnected_generation_ends_at_its_timeout(start: StartProxied) -> None:
    proxied = start(JUPYTER, "--timeout-seconds", "1")
    with proxied.stream(**LONG, num_samples=16):
        pass
    proxied.wait_for('lorelm_samples_total{finish_reason="timeout"}', 16)
    proxied.wait_for("lorelm_slots_in_use", 0)


def test_the_api_works_behind_a_proxy(proxied: Proxied) -> None:
    assert json.loads(proxied.read("healthz")) == {"status": "ok"}
    [model] = json.loads(proxied.read("v1/models"))["data"]
    client = OpenAI(base_url=proxied.url + "v1", api_key=proxied.token or "any")
    asked = {"model": model["id"], "prompt": "The fox", "max_tokens": 5, "seed": 1}
    with client:
        whole = client.completions.create(**asked)
        pieces = client.completions.create(
            **asked, stream=True, extra_headers={"Accept": "text/event-stream"}
        )
        assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text


def test_errors_pass_the_proxy_unchanged(proxied: Proxied) -> None:
    for path, body, status, message in (
        ("api/nowhere", None, 404, "nothing at this address"),
        ("api/generate", {"prompt": "The", "max_len": -1}, 422, "max_len"),
        ("api/generate", {"prompt": "x" * 300_000}, 413, "longer than 262,144 bytes"),
    ):
        for headers in ({}, {"Accept": "text/event-stream"}):
            with proxied.ask(path, body, **headers) as response:
                assert response.status == status
                assert message in json.load(response)["error"]["message"]


def test_addresses_in_the_openapi_document_work(proxied: Proxied) -> None:
    document = json.loads(proxied.read("openapi.json"))
    [server] = document["servers"]
    root = urljoin(proxied.url + "openapi.json", server["url"]).rstrip("/")
    assert {root + path for path in document["paths"]} >= {
        proxied.url + "api/generate",
        proxied.url + "v1/models",
    }


def test_the_prefix_without_a_slash_redirects_to_the_page(start: StartProxied) -> None:
    proxied = start(NGINX)
    with urllib.request.urlopen(proxied.url.rstrip("/")) as response:
        assert response.url == proxied.url
        assert response.status == 200


def test_trusted_headers_decide_the_address_in_the_examples(
    proxied: Proxied, request: pytest.FixtureRequest
) -> None:
    examples = set(re.findall(r"https?://[^\s\"]+/", proxied.read("docs")))
    is_believed = request.node.callspec.params["proxied"] in (NGINX, JUPYTER)
    assert (examples == {proxied.url + "api/", proxied.url}) == is_believed


def test_each_client_behind_nginx_has_a_rate_limit_of_its_own(start: StartProxied) -> None:
    proxied = start(NGINX, "--rate-limit", "2/hour")
    outside = urlsplit(proxied.url)

    def status_for(client: str, forwarded_for: str) -> int:
        connection = http.client.HTTPConnection(outside.netloc, source_address=(client, 0))
        headers = {"Content-Type": "application/json", "X-Forwarded-For": forwarded_for}
        with closing(connection):
            connection.request("POST", outside.path + "api/generate", b'{"prompt": ""}', headers)
            return connection.getresponse().status

    # All of 127.0.0.0/8 is this machine; and what a client says of itself makes no difference.
    assert [status_for("127.0.0.2", f"9.9.9.{i}") for i in range(3)] == [200, 200, 429]
    assert status_for("127.0.0.3", "127.0.0.2") == 200


def test_forged_forwarded_headers_are_dropped(start: StartProxied) -> None:
    proxied = start(NGINX)
    forged = {f"X-Forwarded-{name}": "evil" for name in ("Host", "Proto", "Prefix", "Port")}
    assert proxied.read("docs", **forged) == proxied.read("docs")
