import csv
import html
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

NewApp = Callable[..., Flask]

ADMIN = {"Authorization": "Bearer secret"}


@pytest.fixture
def person(new_app: NewApp) -> FlaskClient:
    """A browser with its own cookie."""
    client = new_app().test_client()
    client.get("/")
    return client


def generate(client: FlaskClient, prompt: str, **asked: object) -> str:
    reply = client.post("/api/generate", json={"prompt": prompt, "max_len": 5} | asked)
    assert reply.status_code == 200
    return prompt + reply.get_json()["samples"][0]["text"]


def page(client: FlaskClient, address: str = "/history") -> str:
    response = client.get(address)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_data(as_text=True)


def exported(client: FlaskClient, address: str = "/history/export.json", **options: Any) -> Any:
    with client.get(address, **options) as response:
        assert response.status_code == 200
        return json.loads(response.get_data(as_text=True))


def ids_of(client: FlaskClient) -> list[str]:
    return re.findall(r'name="again" value="(\w+)"', page(client))


def token_of(client: FlaskClient) -> str:
    return re.findall(r'name="token" value="([^"]+)"', page(client))[0]


def test_a_browser_sees_only_its_own_texts(person: FlaskClient) -> None:
    mine = generate(person, "The fox", seed=1)
    other = person.application.test_client()
    other.get("/")
    others = generate(other, "The owl", seed=2)
    generate(person.application.test_client(), "The hare")  # a program, without a cookie
    [record] = exported(person)
    assert record["prompt"] + record["text"] == mine
    assert (record["source"], record["seed"]) == ("page", 1)
    [record] = exported(other)
    assert record["prompt"] + record["text"] == others
    assert "The owl" not in page(person)


def test_texts_of_the_form_are_recorded(person: FlaskClient) -> None:
    person.post("/", data={"prompt": "The fox", "num_samples": "2"})
    person.post("/", data={"prompt": "The owl", "compare": "true", "temperature_b": "2"})
    assert [record["prompt"] for record in exported(person)] == ["The owl"] * 2 + ["The fox"] * 2


def test_texts_of_openai_clients_appear_in_the_whole_history(new_app: NewApp) -> None:
    client = new_app(admin_key="secret").test_client()
    asked = {"model": "tales", "prompt": "The fox", "max_tokens": 3, "seed": 1}
    client.post("/v1/completions", json=asked)
    client.post("/v1/completions", json=asked | {"max_tokens": 0, "echo": True})  # only scored
    whole = exported(
        client, "/history/whole/export.json", headers={"Authorization": "Bearer secret"}
    )
    assert [(r["source"], r["browser"], r["num_tokens"]) for r in whole] == [("openai", None, 3)]


def test_a_request_from_another_site_gets_no_cookie(new_app: NewApp) -> None:
    # Over plain HTTP a browser does not say which site asks, but leaves out the cookie.
    client = new_app().test_client()
    assert "Set-Cookie" not in client.post("/", data={"prompt": "The"}).headers
    assert "Set-Cookie" in client.get("/").headers


def test_a_page_without_its_cookie_gets_a_new_one(new_app: NewApp) -> None:
    client = new_app().test_client()
    asked = {"prompt": "The owl", "max_len": 3}
    assert "Set-Cookie" not in client.post("/api/generate", json=asked).headers  # a program
    reply = client.post("/api/generate", json=asked, headers={"Lorelm-Page": "1"})
    assert "Set-Cookie" in reply.headers
    [record] = exported(client)
    assert record["source"] == "page"


def test_the_operator_can_generate_any_text_again(new_app: NewApp) -> None:
    client = new_app(admin_key="secret").test_client()
    text = generate(client, "The owl", seed=3)
    [record] = exported(client, "/history/whole/export.json", headers=ADMIN)
    assert f'value="{record["id"]}"' in client.get("/history/whole", headers=ADMIN).text
    again = {"data": {"again": record["id"]}}
    assert client.post("/history/whole/again", **again).status_code == 401
    made = client.post("/history/whole/again", headers=ADMIN, **again).text
    assert "Generated again: the same text." in made
    assert text in html.unescape(re.sub(r"<[^>]+>", "", made))
    assert 'src="../../static/write.js"' in made
    assert set(re.findall(r'action="(.*?)"', made)) == {"../../."}
    missing = client.post("/history/whole/again", headers=ADMIN, data={"again": "x"})
    assert missing.status_code == 404


def test_an_unknown_page_of_the_history_is_not_found(person: FlaskClient) -> None:
    answer = person.get("/history?before=xyz")
    assert answer.status_code == 404
    assert "there is no record" in answer.get_data(as_text=True)


def test_a_forged_cookie_has_no_history(person: FlaskClient) -> None:
    generate(person, "The fox")
    cookie = next(iter(person._cookies.values()))
    # The first character, since the last of a base64 text holds bits that nobody reads: another
    # one there can be the same signature.
    named, signature = cookie.value.rsplit(".", 1)
    other = f"{named}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for value in (other, "", "IjAi.x", cookie.value.split(".")[0]):
        forger = person.application.test_client()
        forger.set_cookie(cookie.key, value)
        assert exported(forger) == []


def test_the_cookie_is_sent_to_the_server_only(new_app: NewApp) -> None:
    client = new_app(proxy_hops=1).test_client()
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/some/prefix"}
    [cookie] = client.get("/", headers=headers).headers.getlist("Set-Cookie")
    for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/some/prefix"):
        assert part in cookie
    [plain] = new_app().test_client().get("/").headers.getlist("Set-Cookie")
    assert "HttpOnly" in plain
    assert "Secure" not in plain
    assert client.get("/api/model").headers.getlist("Set-Cookie") == []


def test_a_visit_prolongs_the_cookie(person: FlaskClient) -> None:
    [before] = person._cookies.values()
    for address in ("/", "/history"):
        [cookie] = person.get(address).headers.getlist("Set-Cookie")
        assert f"{before.key}={before.value};" in cookie
        assert f"Max-Age={400 * 24 * 60 * 60}" in cookie


def test_texts_of_the_history_are_not_cached(person: FlaskClient) -> None:
    generate(person, "The fox")
    [record_id] = ids_of(person)
    for answer in (
        person.get("/history"),
        person.get(f"/?from={record_id}"),
        person.post("/", data={"again": record_id}),
    ):
        assert answer.headers["Cache-Control"] == "no-store"


def test_personal_pages_stay_out_of_shared_caches(person: FlaskClient) -> None:
    for address in ("/history", "/history/export.json"):
        with person.get(address) as response:
            assert response.headers["Cache-Control"] == "no-store"
    assert person.get("/").headers["Cache-Control"] == "private, no-cache"


def test_search_finds_prompts_and_texts(person: FlaskClient) -> None:
    generate(person, "The fox")
    text = generate(person, "No owl ever")
    assert "The fox" not in page(person, "/history?q=OWL")
    assert "No owl ever" in page(person, "/history?q=OWL")
    found = exported(person, "/history/export.json?q=owl+EVER")
    assert [record["prompt"] + record["text"] for record in found] == [text]
    assert "No text contains" in page(person, "/history?q=%25<b>")
    assert "<b>" not in page(person, "/history?q=%25<b>")


def test_pages_link_to_older_ones(person: FlaskClient) -> None:
    for i in range(45):
        generate(person, "The", seed=i)
    seen: list[str] = []
    address: str | None = "/history"
    while address:
        content = page(person, address)
        seen += re.findall(r"seed (\d+),", content)
        older = re.search(r'href="(history\?before=\w+)"', content)
        address = "/" + older[1] if older else None
    assert seen == [str(i) for i in reversed(range(45))]


def test_after_the_last_text_of_a_page_is_deleted_the_newest_page_follows(
    person: FlaskClient,
) -> None:
    for i in range(21):
        generate(person, "The fox", seed=i)
    [older] = re.findall(r'href="(history\?before=\w+)"', page(person))
    content = page(person, f"/{older}")
    assert '<a href="history">Newest</a>' in content
    [oldest] = re.findall(r'name="again" value="(\w+)"', content)
    place = {"before": older.rpartition("=")[2], "q": "fox"}
    asked = place | {"id": oldest, "token": token_of(person)}
    there = person.post("/history/delete", data=asked).headers["Location"].removeprefix("..")
    answer = person.get(there)
    assert (answer.status_code, answer.headers["Location"]) == (303, "history?q=fox")
    assert page(person, "/history?q=fox").count('name="again"') == 20


def test_one_click_generates_a_text_again(person: FlaskClient) -> None:
    text = generate(person, "The fox", temperature=2.5, top_p=0.9, max_len=12)
    [record_id] = ids_of(person)
    answer = person.post("/", data={"again": record_id}).get_data(as_text=True)
    assert "Generated again: the same text." in answer
    words = re.findall(r'(\s*)<span class="word p[^>]*title[^>]*>([^<]*)</span>', answer)
    shown = "The fox" + "".join(space + word for space, word in words)
    assert shown.replace("&#34;", '"') == text
    assert 'value="2.5"' in answer  # the form has its settings


def test_prompt_and_settings_are_used_again(person: FlaskClient) -> None:
    generate(person, "The fox & the owl", temperature=1.5, seed=77, novel_span=6)
    content = page(person, f"/?from={ids_of(person)[0]}")
    assert "The fox &amp; the owl</textarea>" in content
    assert re.search(r'name="temperature"[^>]*value="1.5"', content)
    assert re.search(r'name="seed"[^>]*value="77"', content)
    assert re.search(r'name="novel_span"[^>]* checked', content)


def test_other_browsers_cannot_use_or_delete_a_text(person: FlaskClient) -> None:
    generate(person, "The fox")
    [record_id] = ids_of(person)
    other = person.application.test_client()
    other.get("/")
    generate(other, "The owl")
    assert other.get(f"/?from={record_id}").status_code == 404
    assert other.post("/", data={"again": record_id}).status_code == 404
    other.post("/history/delete", data={"id": record_id, "token": token_of(other)})
    assert ids_of(person) == [record_id]


def test_one_or_all_can_be_deleted(person: FlaskClient) -> None:
    other = person.application.test_client()
    other.get("/")
    generate(other, "The owl")
    for i in range(3):
        generate(person, "The fox", seed=i)
    ids = ids_of(person)
    answer = person.post("/history/delete", data={"id": ids[1], "token": token_of(person)})
    assert (answer.status_code, answer.headers["Location"]) == (303, "../history")
    assert ids_of(person) == [ids[0], ids[2]]
    generate(person, "The hare")  # still in the queue, perhaps, when all is to go
    person.post("/history/delete-all", data={"token": token_of(person)})
    assert exported(person) == []
    assert len(exported(other)) == 1


@pytest.mark.parametrize("address", ["/history/delete", "/history/delete-all"])
def test_a_form_without_our_token_deletes_nothing(person: FlaskClient, address: str) -> None:
    generate(person, "The fox")
    other = person.application.test_client()
    other.get("/")
    generate(other, "The owl")
    for token in ({}, {"token": ""}, {"token": token_of(other)}, {"token": "x.y"}):
        answer = person.post(address, data={"id": ids_of(person)[0]} | token)
        assert answer.status_code == 403
        assert "open the page again" in answer.get_data(as_text=True)
    assert len(ids_of(person)) == 1


def test_requests_from_other_sites_are_rejected(person: FlaskClient) -> None:
    for others in ("cross-site", "same-site"):  # the cookie goes to all ports of a host
        headers = {"Sec-Fetch-Site": others}
        for address in ("/", "/api/generate", "/history/delete-all", "/v1/completions"):
            answer = person.post(address, data={"prompt": "The"}, headers=headers)
            assert answer.status_code == 403
            assert "another site" in answer.get_data(as_text=True)
        assert person.get("/", headers=headers).status_code == 200  # a link leads here
    same = {"Sec-Fetch-Site": "same-origin"}
    assert person.post("/", data={"prompt": "The"}, headers=same).status_code == 200


def test_a_model_that_is_not_served_any_more_is_named(person: FlaskClient, new_app: NewApp) -> None:
    generate(person, "The fox")
    mixed = new_app(mixture=True).test_client()  # another model, in effect
    for cookie in person._cookies.values():
        mixed.set_cookie(cookie.key, cookie.value)
    answer = mixed.post("/", data={"again": ids_of(person)[0]})
    assert answer.status_code == 422
    assert "cannot be generated again" in answer.get_data(as_text=True)


def test_the_page_says_when_another_model_will_continue(
    person: FlaskClient, new_app: NewApp, tiny_bundle: Path, tmp_path: Path
) -> None:
    generate(person, "The fox")
    [record_id] = ids_of(person)
    assert "not served now" not in page(person, f"/?from={record_id}")
    other_bundle = shutil.copytree(tiny_bundle, tmp_path / "sagas")
    other = new_app(bundles=[other_bundle]).test_client()
    for cookie in person._cookies.values():
        other.set_cookie(cookie.key, cookie.value)
    assert "tales, which wrote this text, is not served now" in page(other, f"/?from={record_id}")


def test_exports_are_valid_json_and_csv(person: FlaskClient) -> None:
    text = generate(person, 'The "fox",\nsaid', seed=3)
    with person.get("/history/export.csv") as response:
        assert response.headers["Content-Disposition"].startswith("attachment; filename=")
        [row] = csv.DictReader(io.StringIO(response.get_data(as_text=True), newline=""))
    assert row["prompt"] + row["text"] == text
    assert person.get("/history/export.xml").status_code == 404


def test_the_whole_history_needs_the_admin_key(new_app: NewApp) -> None:
    app = new_app(admin_key="secret", api_key="open")
    client = app.test_client()
    client.post(
        "/api/generate", json={"prompt": "The fox"}, headers={"Authorization": "Bearer open"}
    )
    for address in ("/history/whole", "/history/whole/export.json", "/history/whole/export.csv"):
        assert client.get(address).status_code == 401
        assert client.get(address, headers={"Authorization": "Bearer open"}).status_code == 401
        as_admin = client.get(address, auth=("any", "secret"))
        assert as_admin.status_code == 200
        assert "The fox" in as_admin.get_data(as_text=True)
    assert client.get("/", auth=("any", "secret")).status_code == 200


def test_without_an_admin_key_the_whole_history_is_closed(person: FlaskClient) -> None:
    answer = person.get("/history/whole")
    assert answer.status_code == 403
    assert "--admin-key" in answer.get_data(as_text=True)


def test_the_page_says_whether_a_history_is_kept(new_app: NewApp, postgres_url: str) -> None:
    assert "and their prompts in a file" in page(new_app().test_client(), "/")
    in_postgres = new_app(history=postgres_url).test_client()
    assert "and their prompts in a database" in page(in_postgres, "/")
    without = new_app(history=None).test_client()
    assert "are not kept" in page(without, "/")
    assert without.get("/history").status_code == 404
    assert without.get("/").headers.getlist("Set-Cookie") == []


def test_two_servers_with_one_history_share_browser_ids(new_app: NewApp) -> None:
    first, second = new_app().test_client(), new_app().test_client()
    first.get("/")
    for cookie in first._cookies.values():
        second.set_cookie(cookie.key, cookie.value)
    generate(first, "The fox")
    generate(second, "The owl")
    first.get("/history")  # what it has not written yet is written now
    assert [record["prompt"] for record in exported(second)] == ["The owl", "The fox"]


def test_records_are_counted_in_the_metrics(person: FlaskClient) -> None:
    generate(person, "The fox", num_samples=3)
    exported(person)
    metrics = person.get("/metrics").get_data(as_text=True)
    assert "lorelm_history_records_written_total 3.0" in metrics
    assert "lorelm_history_records_lost_total 0.0" in metrics
    assert "lorelm_history_queue_depth 0.0" in metrics
