"""Dashboard and alerts ask for what a real server exports, and Prometheus understands them."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelm.server.keys.key_file import KeyFile

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "lorelm.json"
PROMETHEUS = ROOT / "deploy" / "prometheus"
VARIABLES = {"$__rate_interval": "1m", "$job": "lorelm", "$instance": ".*"}


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, without the headings of its rows."""
    return [each for each in json.loads(DASHBOARD.read_text())["panels"] if each["type"] != "row"]


def queries() -> list[str]:
    """The queries of the dashboard, with values for its variables."""
    found = []
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            found.append(query)
    return found


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\blorelm_\w+", text))


@pytest.fixture(scope="module", params=["1", "2"])
def exported(
    request: pytest.FixtureRequest, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> set[str]:
    """Names of what a server with so many workers exports after a request with a key."""
    if request.param != "1" and os.name == "nt":
        pytest.skip("needs the signals of other systems")
    folder = tmp_path_factory.mktemp("metrics")
    keys = KeyFile(folder / "keys.json")
    user, prometheus = keys.add("me"), keys.add("prometheus", metrics_only=True)
    command = [
        *(sys.executable, "-m", "lorelm", "serve", str(tiny_bundle), "--port", "0"),
        *("--workers", request.param, "--keys", str(keys.path)),
        *("--history", f"sqlite:///{folder}/history.db"),
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        found = re.search(r"http://\S+/", server.stderr.readline())
        assert found

        def open_url(path: str, key: str, body: bytes | None = None) -> str:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            asked = urllib.request.Request(found[0] + path, body, headers)
            with urllib.request.urlopen(asked, timeout=30) as response:
                content: bytes = response.read()
            return content.decode()

        open_url("api/generate", user, json.dumps({"prompt": "The"}).encode())
        text = open_url("metrics", prometheus)
    finally:
        server.terminate()
        server.communicate(timeout=30)
    return set(re.findall(r"^(lorelm_\w+)", text, re.MULTILINE))


@pytest.mark.system
def test_the_dashboard_and_the_alerts_ask_for_what_is_exported(exported: set[str]) -> None:
    asked = names_in("\n".join(queries())) | names_in((PROMETHEUS / "alerts.yaml").read_text())
    assert len(asked) > 15
    assert asked <= exported, asked - exported


def test_each_panel_says_what_it_shows() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    all_panels = dashboard["panels"]
    assert len({each["id"] for each in all_panels}) == len(all_panels)
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == source
        for target in panel["targets"]:
            assert target["datasource"] == source
            assert 'instance=~"$instance"' in target["expr"]
    names = [each["name"] for each in dashboard["templating"]["list"]]
    assert names == ["datasource", "job", "instance"]


def test_no_two_panels_are_in_one_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_guide_says_what_to_do_about_each_alert() -> None:
    guide = (ROOT / "docs" / "guides" / "operations.md").read_text()
    alerts = re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yaml").read_text())
    assert len(alerts) >= 10
    assert all(f"`{alert}`" in guide for alert in alerts)


def test_each_alert_is_tested() -> None:
    alerts = re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yaml").read_text())
    tests = (Path(__file__).parent / "alerts_test.yaml").read_text()
    well = tests[: tests.index("a server that is away")]
    for alert in alerts:
        assert f"alertname: {alert} }}" in well
        assert re.search(rf"alertname: {alert}\n +exp_alerts:", tests)


Promtool = Callable[..., None]


@pytest.fixture(scope="module")
def promtool() -> Promtool:
    """Run promtool; skips the test where there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool: apt-get install prometheus")

    def run(*arguments: str | Path) -> None:
        command = [program, *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    return run


@pytest.mark.system
def test_the_alerts_fire_when_they_should_and_not_else(promtool: Promtool) -> None:
    promtool("check", "rules", "--lint-fatal", PROMETHEUS / "alerts.yaml")
    promtool("test", "rules", Path(__file__).parent / "alerts_test.yaml")


@pytest.mark.system
def test_prometheus_understands_the_example_and_the_queries(
    promtool: Promtool, tmp_path: Path
) -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yaml")
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries())]
    as_rules = tmp_path / "queries.json"  # JSON is YAML
    as_rules.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", as_rules)
