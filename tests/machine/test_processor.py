from pathlib import Path

import pytest

from lorelm.machine.processor import Processor, processor

X86 = "processor\t: 0\nmodel name\t: Elven  Smith\nflags\t\t: fpu avx2 avx_vnni\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimddp bf16\n"


def test_of_this_machine_there_is_a_name() -> None:
    assert processor().name


def test_x86(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(X86)
    features = {"AVX2": True, "AVX-512": False, "VNNI": True, "bfloat16": False}
    assert processor(tmp_path / "cpuinfo") == Processor("Elven Smith", features)


def test_arm(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ARM)
    features = {"dot product": True, "i8mm": False, "bfloat16": True}
    assert processor(tmp_path / "cpuinfo").features == features


@pytest.mark.parametrize("machine", ["AMD64", "arm64"])
def test_systems_without_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = processor(tmp_path / "none")
    assert found.name == machine
    assert set(found.features) == ({"AVX2", "AVX-512"} if machine == "AMD64" else set())
