"""The files of `deploy/` agree with the program, with one another, and with what reads them."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.deploy.cluster import DEPLOY, nginx_folder, nginx_program
from tests.errors import raises_code

from lorelm.bundle import EMBEDDED_PATH
from lorelm.cli.main import lorelm
from lorelm.cli.serve import serve
from lorelm.errors import InputError
from lorelm.parameters import parameters_of
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

ROOT = DEPLOY.parent
UNIT = (DEPLOY / "systemd" / "lorelm@.service").read_text(encoding="utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
PORT = 5000


def manifests() -> Iterator[dict[str, Any]]:
    """What Kubernetes is given, without what kustomize adds."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
REPLICAS = [COMPOSE["services"][name] for name in ("lorelm-1", "lorelm-2")]
[DEPLOYMENT] = [each for each in manifests() if each["kind"] == "Deployment"]
[CONTAINER] = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
[SECRET] = [each for each in manifests() if each["kind"] == "Secret"]


def environment_of_unit() -> dict[str, str]:
    given = " ".join(re.findall(r"^Environment=(.*)$", UNIT, re.M))
    return dict(each.split("=", 1) for each in shlex.split(given))


def example_environment() -> dict[str, str]:
    lines = (DEPLOY / "lorelm.env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


[EXEC_START] = re.findall(r"^ExecStart=/opt/lorelm/bin/lorelm (.*)$", UNIT, re.M)
[IMAGE_COMMAND] = re.findall(r"^CMD (.*)$", CONTAINERFILE, re.M)
COMMANDS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "systemd": (
        shlex.split(EXEC_START.replace("%i", "5001")),
        environment_of_unit() | example_environment(),
    ),
    "compose": (REPLICAS[0]["command"], REPLICAS[0]["environment"] | example_environment()),
    "kubernetes": (CONTAINER["args"], SECRET["stringData"]),
    "image": (json.loads(IMAGE_COMMAND), {}),
}


def values_of(arguments: Sequence[str]) -> dict[str, Any]:
    """The values that `lorelm serve` takes from its arguments and variables.

    Raises:
        click.UsageError: an option does not exist, or a value is none.
        InputError: a value is out of its range.
    """
    # With the settings of the program: click keeps the help option that it makes first.
    with serve.make_context("serve", [*arguments], **lorelm.context_settings) as context:
        values = context.params
    ServerSettings(
        **{name: values[name] for name in parameters_of(ServerSettings) if name in values}
    )
    return values


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (command, *arguments), environment = COMMANDS[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert command == "serve"
    values = values_of(arguments)
    if name == "image":
        assert (values["host"], values["port"]) == ("0.0.0.0", PORT)
        return
    assert values["workers"] == 2
    assert values["proxy_hops"] == 1
    assert values["history"].startswith("postgresql+psycopg://lorelm")
    assert values["rate_limit_storage"].startswith("redis")
    assert values["api_key"]
    assert values["admin_key"]
    known = {each.envvar for each in serve.params if isinstance(each, click.Option)}
    assert {each for each in environment if each.startswith("LORELM_")} <= known


@pytest.mark.parametrize(
    "given", [example_environment(), SECRET["stringData"]], ids=["env", "secret"]
)
def test_the_placeholders_of_the_examples_start_no_server(given: Mapping[str, str]) -> None:
    for name in ("api_key", "admin_key"):
        with raises_code(InputError, "server.placeholder_key"):
            ServerSettings(**{name: given[f"LORELM_{name.upper()}"]})


def test_a_wrong_command_is_found() -> None:
    for wrong in ("--worker-number=2", "--port=many", "--grace-seconds=long", "--workers=0"):
        with pytest.raises((click.UsageError, InputError)):
            values_of([wrong])


def test_no_key_stands_in_a_command() -> None:
    for arguments, _environment in COMMANDS.values():
        assert not [each for each in arguments if re.search("key|password|://", each)]


def test_probes_and_health_checks_are_addresses_of_the_server() -> None:
    paths = {
        CONTAINER[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "readiness", "liveness")
    }
    paths |= {*re.findall(r"http://127\.0\.0\.1:5000(/\w+)", CONTAINERFILE)}
    paths |= {*re.findall(r":8080(/\w+)", str(COMPOSE["services"]["nginx"]["healthcheck"]))}
    app = create_app(ServerSettings(bundles=[EMBEDDED_PATH]))
    assert paths == {"/healthz", "/readyz"} <= {rule.rule for rule in app.url_map.iter_rules()}
    server_state(app).close()
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": PORT}]
    assert f"EXPOSE {PORT}\n" in CONTAINERFILE


def test_time_to_end_is_longer_than_requests_may_take() -> None:
    """What runs may end, and five seconds each are for the last bytes and the history."""
    [grace] = re.findall(r"--grace-seconds (\d+)", UNIT)
    for given in (REPLICAS[0]["command"], CONTAINER["args"]):
        assert f"--grace-seconds={grace}" in given
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)
    assert f"{seconds}s" == REPLICAS[0]["stop_grace_period"]
    pod = DEPLOYMENT["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == int(seconds)
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert int(seconds) > int(grace) + 5 + 5 + pause


def test_services_of_compose_are_confined_and_complete() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert {each["source"] for each in service.get("configs", ())} <= set(COMPOSE["configs"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert "healthcheck" in service or service["image"] == "lorelm"
    addresses = [each["networks"]["service"]["ipv4_address"] for each in REPLICAS]
    shipped = (DEPLOY / "lorelm-replicas.conf").read_text(encoding="utf-8")
    lines = re.findall(r"^server 127\.0\.0\.1:\d+ (.*)$", shipped, re.M)
    replicas = [f"server {a}:{PORT} {rest}" for a, rest in zip(addresses, lines, strict=True)]
    assert COMPOSE["configs"]["replicas"]["content"].splitlines() == replicas


def test_a_vanished_replica_is_noticed_after_the_same_time_everywhere() -> None:
    file = (DEPLOY / "systemd" / "60-lorelm-proxy.conf").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(\S+) = (\d+)$", file, re.M))
    assert {k: str(v) for k, v in COMPOSE["services"]["nginx"]["sysctls"].items()} == given


def test_the_pod_is_confined() -> None:
    pod = DEPLOYMENT["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}:" in CONTAINERFILE
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == {
        v["name"] for v in pod["volumes"]
    }


def test_the_locks_agree_with_what_was_tested() -> None:
    tested = pins(ROOT / "requirements.txt")
    locked = pins(DEPLOY / "requirements.lock")
    others = {name for name in locked if tested.get(name) != locked[name]}
    of_traces = {"certifi", "charset-normalizer", "googleapis-common-protos", "idna", "requests"}
    others -= {name for name in others if name.startswith("opentelemetry")} | of_traces
    assert others == {"psycopg", "psycopg-binary", "redis", "urllib3"}
    assert set(tested) <= set(locked)
    for name in ("requirements.lock", "build.lock"):
        blocks = re.split(r"\n(?=\w)", (DEPLOY / name).read_text(encoding="utf-8").strip())
        pinned = [block for block in blocks if not block.startswith("#")]
        assert all("--hash=sha256:" in block for block in pinned)


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_the_image_gets_what_it_copies() -> None:
    kept = [
        line[1:]
        for line in (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.M)
        for name in line.split()[:-1]
    ]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert any(Path(name).match(pattern) for pattern in kept), name


@pytest.mark.system
def test_nginx_takes_its_file(tmp_path: Path) -> None:
    folder = nginx_folder(
        ["127.0.0.1:5001", "127.0.0.1:5002"], "127.0.0.1:8080", tmp_path / "nginx"
    )
    command = [nginx_program(), "-t", "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr


@pytest.mark.system
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: apt-get install systemd")
    unit = tmp_path / "lorelm@5001.service"
    unit.write_text(UNIT.replace("/opt/lorelm/bin/lorelm", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert security.returncode == 0, security.stdout  # an exposure of at most 2.0 of 10


@pytest.mark.system
def test_kustomize_takes_the_manifests() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl: apt-get install kubernetes-client")
    made = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, check=True
    )
    kinds = {each["kind"]: each for each in yaml.safe_load_all(made.stdout)}
    assert {"Namespace", "ConfigMap", "Deployment", "Service", "Ingress"} <= set(kinds)
    pod = kinds["Deployment"]["spec"]["template"]
    for selector in (
        kinds["Deployment"]["spec"]["selector"]["matchLabels"],
        kinds["Service"]["spec"]["selector"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector == pod["metadata"]["labels"]
    [container] = pod["spec"]["containers"]
    assert container["envFrom"][0]["configMapRef"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
    used = re.findall(r"\$\((\w+)\)", " ".join(container["args"]))
    assert set(used) == set(kinds["ConfigMap"]["data"])


@pytest.mark.system
def test_compose_takes_its_file(tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("no docker-compose: apt-get install docker-compose")
    shutil.copy(DEPLOY / "compose.yaml", tmp_path)
    shutil.copy(DEPLOY / "lorelm.env.example", tmp_path / "lorelm.env")
    ended = subprocess.run(
        [program, "-f", str(tmp_path / "compose.yaml"), "config"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.system
def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    program = shutil.which("hadolint") or shutil.which("hadolint", path=str(ROOT / ".venv" / "bin"))
    if program is None:
        pytest.skip("no hadolint: pip install '.[dev]', on Linux")
    ended = subprocess.run(
        [program, str(DEPLOY / "Containerfile")], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")
