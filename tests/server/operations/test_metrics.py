from pathlib import Path

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: FlaskClient) -> Samples:
    """Return a metric as Prometheus would read it."""
    response = client.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.get_data(as_text=True))
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def test_requests_and_tokens_are_counted(tiny_bundle: Path) -> None:
    app = create_app(ServerSettings(bundles=[tiny_bundle], num_slots=7))
    client = app.test_client()
    asked = {"prompt": "The fox", "num_samples": 3, "max_len": 9, "min_len": 9}
    for _ in range(2):
        client.post("/api/generate", json=asked)
    with client.post("/api/generate", json=asked | {"stream": True}) as stream:
        stream.get_data()
    client.post("/api/generate", json=asked | {"max_len": 0})
    client.get("/nothing/at/all")
    samples = scrape(client)
    server_state(app).close()
    assert value(samples, "lorelm_generated_tokens_total") == 3 * 3 * 9
    assert value(samples, "lorelm_prompt_tokens_total") == 3 * 2
    assert value(samples, "lorelm_samples_total", finish_reason="length") == 9
    request = {"endpoint": "/api/generate"}
    assert value(samples, "lorelm_requests_total", status="200", **request) == 3
    assert value(samples, "lorelm_requests_total", status="422", **request) == 1
    assert value(samples, "lorelm_requests_total", status="404", endpoint="other") == 1
    assert value(samples, "lorelm_request_seconds_count", **request) == 4
    assert value(samples, "lorelm_time_to_first_token_seconds_count") == 3
    assert value(samples, "lorelm_time_to_first_token_seconds_sum") > 0
    num_steps = value(samples, "lorelm_step_seconds_count")
    # Read the prompt once, then three samples at a time: never more steps than with one each.
    assert 3 * 9 <= num_steps <= 3 * (2 + 3 * 9)
    assert value(samples, "lorelm_step_rows_sum") >= 3 * 3 * 9
    assert value(samples, "lorelm_slots", model="tales") == 7
    assert value(samples, "lorelm_slots_in_use", model="tales") == 0
    assert value(samples, "lorelm_queue_depth", model="tales") == 0
