import pytest
import torch
from tests.errors import raises_code

from lorelm.errors import InputError
from lorelm.training.device import has_bfloat16, resolve_device, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with raises_code(InputError, "device.unknown"):
        resolve_device(device)


def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_it, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has_it: {"avx512_bf16": has})
        assert has_bfloat16(CPU) is has_it
        assert resolve_precision("auto", CPU) == expected
        assert resolve_precision("float32", CPU) == "float32"


def test_bfloat16_without_hardware_support_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with raises_code(InputError, "device.no_bfloat16"):
        resolve_precision("bfloat16", CPU)
