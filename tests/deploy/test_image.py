"""The container image: built from `deploy/Containerfile`, and run as a service would run it.

No registry is asked: the base is a Debian that mmdebstrap makes. pip asks the package index.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from tests.deploy.cluster import DEPLOY, HERE, free_port, wait_for

import lorelm
from lorelm.bundle import EMBEDDED_PATH

pytestmark = [pytest.mark.system, pytest.mark.slow]

PROGRAMS: Final = ("mmdebstrap", "podman", "buildah")
BASE, IMAGE = "localhost/debian-python", "localhost/lorelm-test"
TIMESTAMP: Final = "1767225600"
CERTIFICATES: Final = "/etc/ssl/certs"
"""Those of this machine: the package index may be behind a proxy."""


def limits() -> Sequence[str]:
    """Limits that this machine allows; the default of podman may be higher."""
    import resource  # which Windows does not have

    found = []
    for name in ("nofile", "nproc"):
        _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
        if hard != resource.RLIM_INFINITY:
            found += ["--ulimit", f"{name}={hard}:{hard}"]
    return found


class Containers:
    """podman and buildah with a storage of their own."""

    def __init__(self, folder: Path) -> None:
        self._storage = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"))
        self._runtime = ""

    def podman(self, *arguments: str, check: bool = True) -> str:
        runtime = ("--runtime", self._runtime) if self._runtime else ()
        return _output("podman", *self._storage, *runtime, *arguments, check=check)

    def build(self, image: str) -> str:
        """Build an image from nothing; return what its content and its configuration are."""
        _output(
            *("buildah", *self._storage, "build", "--no-cache", "--isolation", "chroot"),
            *("--format", "docker", "--network", "host", "--timestamp", TIMESTAMP, *limits()),
            *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--build-arg", f"BASE={BASE}"),
            *("--file", str(DEPLOY / "Containerfile"), "--tag", image, str(DEPLOY.parent)),
        )
        # Not its id, which depends on the names of containers that buildah makes.
        return self.podman(
            "image", "inspect", "--format", "{{json .RootFS.Layers}} {{json .Config}}", image
        )

    def choose_runtime(self) -> None:
        """crun refuses some kernels' control groups, runc takes them."""
        for runtime in ("crun", "runc"):
            if shutil.which(runtime):
                self._runtime = runtime
                with suppress(subprocess.CalledProcessError):
                    self.podman("run", "--rm", "--network", "none", *limits(), BASE, "true")
                    return
        pytest.skip("no container can be run here, neither by crun nor by runc")

    def run(self, name: str, *arguments: str, volume: str) -> None:
        """Run the image confined: no root, no privileges, nothing to write to but a volume."""
        self.podman(
            *("run", "--detach", "--name", name, "--network", "host", "--read-only", *limits()),
            *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
            *("--volume", f"{volume}:/var/lib/lorelm", IMAGE, *arguments),
        )

    def inside(self, name: str, *command: str) -> str:
        return self.podman("exec", name, *command)


def _output(*command: str, check: bool = True) -> str:
    environment = os.environ | {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if check and ended.returncode:
        raise subprocess.CalledProcessError(
            ended.returncode, command, ended.stdout, ended.stderr
        ) from AssertionError(f"{' '.join(command)}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.stdout


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    missing = [each for each in PROGRAMS if shutil.which(each) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and: apt-get install {' '.join(PROGRAMS)} runc")
    folder = tmp_path_factory.mktemp("containers")
    containers, tar = Containers(folder), str(folder / "base.tar")
    _output(
        *("mmdebstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates"),
        *("trixie", tar),
    )
    containers.podman("import", tar, BASE)
    Path(tar).unlink()
    containers.choose_runtime()
    yield containers
    containers.podman("rm", "--all", "--force", check=False)
    containers.podman("system", "reset", "--force", check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(containers: Containers) -> str:
    return containers.build(IMAGE)


@pytest.fixture(scope="module")
def served(containers: Containers, image: str) -> Iterator[tuple[str, str]]:
    """The name and the address of a container that serves."""
    port, name = free_port(), "serving"
    arguments = ("serve", "--host", HERE, "--port", str(port), "--workers", "2")
    containers.run(name, *arguments, volume="history")
    url = f"http://{HERE}:{port}/"
    wait_for(lambda: is_healthy(url))
    yield name, url
    containers.podman("rm", "--force", name, check=False)


def is_healthy(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}healthz", timeout=2) as response:
        return json.load(response) == {"status": "ok"}
    return False


def generate(url: str, seed: int) -> str:
    body = json.dumps({"prompt": "The old man", "seed": seed, "max_len": 12}).encode()
    request = urllib.request.Request(
        f"{url}api/generate", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(json.load(response)["samples"][0]["text"])


def test_it_writes_the_text_that_this_machine_writes(served: tuple[str, str]) -> None:
    _, url = served
    model = lorelm.load(EMBEDDED_PATH)
    for seed in range(3):
        expected = model.generate("The old man", seed=seed, max_len=12)
        assert generate(url, seed) == expected.text


def test_it_is_confined(containers: Containers, served: tuple[str, str]) -> None:
    name, _ = served
    assert containers.inside(name, "id", "-u").strip() == "10001"
    for place in ("/opt/lorelm", "/models", "/etc", "/usr/local"):
        with pytest.raises(subprocess.CalledProcessError):
            containers.inside(name, "touch", f"{place}/file")
    status = containers.inside(name, "cat", "/proc/1/status")
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    with pytest.raises(subprocess.CalledProcessError):
        containers.inside(name, "python", "-c", "import torch")


def test_its_health_check_asks_the_server(containers: Containers, image: str) -> None:
    """On port 5000, where nobody answers if the server is on another one."""
    for port, is_found in (("5000", True), ("5001", False)):
        name = f"checked-{port}"
        containers.podman(
            *("run", "--detach", "--name", name, "--network", "none", "--read-only", *limits()),
            *(IMAGE, "serve", "--no-history", "--port", port),
        )
        ask = f"import urllib.request as r; r.urlopen('http://{HERE}:{port}/healthz')"
        wait_for(partial(succeeds, containers, "exec", name, "python", "-c", ask))
        assert succeeds(containers, "healthcheck", "run", name) == is_found
        containers.podman("rm", "--force", name)


def succeeds(containers: Containers, *command: str) -> bool:
    try:
        containers.podman(*command)
    except subprocess.CalledProcessError:
        return False
    return True


def test_the_bill_of_materials_is_what_is_installed(
    containers: Containers, served: tuple[str, str]
) -> None:
    name, _ = served
    bill = json.loads(containers.inside(name, "cat", "/opt/lorelm/sbom.cdx.json"))
    listed = {(each["name"], each["version"]) for each in bill["components"]}
    code = (
        "import json; from importlib.metadata import distributions as d; "
        "print(json.dumps([[e.name, e.version] for e in d()]))"
    )
    installed = {(n, v) for n, v in json.loads(containers.inside(name, "python", "-c", code))}
    assert listed == installed


def test_the_history_is_in_its_volume_and_it_ends_well(containers: Containers, image: str) -> None:
    for number in range(2):
        name, port = f"life-{number}", free_port()
        containers.run(name, "serve", "--host", HERE, "--port", str(port), volume="lives")
        url = f"http://{HERE}:{port}/"
        wait_for(lambda url=url: is_healthy(url))
        generate(url, number)
        began = time.monotonic()
        containers.podman("stop", "--time", "30", name)
        assert time.monotonic() - began < 20
        state = containers.podman("inspect", "--format", "{{.State.ExitCode}}", name)
        assert state.strip() == "0"
        containers.podman("rm", name)
    exported = containers.podman(
        *("run", "--rm", "--network", "none", "--read-only", *limits()),
        *("--volume", "lives:/var/lib/lorelm", IMAGE, "history", "export", "--format", "json"),
    )
    assert sorted(each["seed"] for each in json.loads(exported)) == [0, 1]


def test_the_same_source_makes_the_same_image(containers: Containers, image: str) -> None:
    assert containers.build(f"{IMAGE}-again") == image
