import importlib.util
import math
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.bundle.layout import METRICS
from lorelm.corpus.documents import Documents
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import InputError, MissingExtraError
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.report.plots import (
    draw_calibration,
    draw_curves,
    draw_document_length,
    render_plots,
    wilson_interval,
    write_plots,
)
from lorelm.evaluation.scores import Calibration, length_classes
from lorelm.evaluation.text import HeldOutText

pytestmark = pytest.mark.system

NAMES = ["calibration.png", "curves.png", "document-length.png"]


@pytest.fixture(scope="module")
def result(bundle: Bundle, tales: Documents) -> EvaluationResult:
    return evaluate_bundle(bundle, EvaluationSettings(num_samples=0), documents=tales)


def text_of(*documents: str) -> HeldOutText:
    tokenizer = make_tokenizer("words")
    return HeldOutText(
        documents=[tokenizer.tokenize(document) for document in documents],
        name="a text",
        tokenizer=tokenizer,
        vocabulary=Vocabulary(["<unk>", "<eos>", "a", "b"]),
    )


def png_size(path: Path) -> tuple[int, int]:
    """Width and height, from the header of the file."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def points(axes: Axes, label: str) -> list[tuple[float, float]]:
    """What a line or a row of points shows."""
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def test_the_plots_are_png_files_in_a_new_folder(
    bundle: Bundle, result: EvaluationResult, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "plots"
    write_plots(folder, bundle, result)
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    for name in NAMES:
        width, height = png_size(folder / name)
        assert width == 900
        assert 600 <= height <= 1200


def test_plots_are_drawn_anew_in_an_old_folder(
    bundle: Bundle, result: EvaluationResult, tmp_path: Path
) -> None:
    (tmp_path / "curves.png").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    write_plots(tmp_path, bundle, result)
    assert png_size(tmp_path / "curves.png")[0] == 900
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*NAMES, "notes.txt"])


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_metrics_give_the_same_bytes_whatever_the_user_set(
    bundle: Bundle, result: EvaluationResult, form: str
) -> None:
    first = render_plots(bundle, result, form)  # type: ignore[arg-type]
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):
        assert render_plots(bundle, result, form) == first  # type: ignore[arg-type]
        assert matplotlib.rcParams["font.size"] == 30
    assert all(b"metadata" not in image and b"<text" not in image for image in first.values())


def test_without_a_record_of_training_there_are_no_curves(
    tiny_bundle: Path, result: EvaluationResult, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    (copy / METRICS).unlink()
    write_plots(tmp_path / "plots", Bundle.load(copy), result)
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [NAMES[0], NAMES[2]]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a file", "output.not_a_folder"),
        ("a file/plots", "output.not_a_folder"),
        ("a folder", "output.not_a_file"),
    ],
)
def test_a_folder_that_cannot_be_written_is_explained(
    bundle: Bundle, result: EvaluationResult, tmp_path: Path, name: str, code: str
) -> None:
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "a folder" / "curves.png").mkdir(parents=True)
    with raises_code(InputError, code):
        write_plots(tmp_path / name, bundle, result)
    assert (tmp_path / "a file").read_text() == "mine"


def test_curves_show_every_epoch_and_mark_the_best(bundle: Bundle) -> None:
    metrics = bundle.training_metrics()
    loss, perplexities, rates = draw_curves(metrics).axes
    for axes, label, key in (
        (loss, "training", "train_loss_nats_per_token"),
        (loss, "validation", "valid_loss_nats_per_token"),
    ):
        assert points(axes, label) == [(row["epoch"], row[key]) for row in metrics]
    for axes, key in ((perplexities, "valid_perplexity"), (rates, "learning_rate")):
        shown = np.asarray(axes.get_lines()[-1].get_ydata())
        assert shown.tolist() == [row[key] for row in metrics]
    best = bundle.manifest.training.best_epoch
    assert [x for x, _ in points(loss, f"best epoch ({best})")] == [best, best]
    assert loss.get_ylabel() == "loss (nats per token)"
    assert rates.get_xlabel() == "epoch"


def test_one_epoch_can_be_drawn(bundle: Bundle) -> None:
    figure = draw_curves(bundle.training_metrics()[:1])
    figure.draw_without_rendering()
    assert [tick for tick in figure.axes[2].get_xticks() if tick == 1]


def test_calibration_shows_each_bin_and_its_number_of_predictions() -> None:
    figure = draw_calibration(
        Calibration(
            confidence=np.array([0.05, 0.34, 1.0]),
            accuracy=np.array([0.1, 0.25, 1.0]),
            count=np.array([30.0, 1200.0, 1.0]),
            error=0.08,
        )
    )
    right, counts = figure.axes
    shown = points(right, "network, with 95 % intervals")
    assert shown == [(0.05, 0.1), (0.34, 0.25), (1.0, 1.0)]
    assert points(right, "perfect calibration") == [(0, 0), (1, 1)]
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in counts.patches]
    assert np.array(bars) == pytest.approx(np.array([(0.05, 30), (0.35, 1200), (0.95, 1)]))
    assert [text.get_text() for text in counts.texts] == ["30", "1,200", "1"]


def test_wilson_intervals_of_the_textbook() -> None:
    low, high = wilson_interval(np.array([0.0, 0.5]), np.array([10.0, 10.0]))
    assert low == pytest.approx([0, 0.2366], abs=1e-4)
    assert high == pytest.approx([0.2775, 0.7634], abs=1e-4)


def test_classes_of_length_double() -> None:
    text = text_of("a", "a b", "a b a", "a b a b", " ".join("ab" * 4), "b")
    classes = length_classes(text, np.full(len(text.stream), -math.log(4)))
    assert [of.name for of in classes] == ["1", "2–3", "4–7", "8–15"]
    assert [of.num_documents for of in classes] == [2, 2, 1, 1]
    assert [of.perplexity for of in classes] == pytest.approx([4, 4, 4, 4])
    assert classes[0].interval == pytest.approx((4, 4))
    assert [of.interval for of in classes[2:]] == [None, None]


def test_the_perplexity_of_a_class_is_that_of_its_tokens() -> None:
    text = text_of("a b", "b a b", "a b a b")
    probabilities = np.array([0.5, 0.25, 0.5] + [0.25] * 4 + [0.125] * 5)
    short, long = length_classes(text, np.log(probabilities))
    # 4 bits in 3 events and 8 bits in 4: the perplexity of both is 2 ** (12 / 7).
    assert short.perplexity == pytest.approx(2 ** (12 / 7))
    assert short.interval == pytest.approx((2 ** (4 / 3), 4))
    assert long.perplexity == pytest.approx(8)


def test_a_class_without_an_interval_is_hollow() -> None:
    text = text_of("a", "b", "a b", *["a b a b"] * 3)
    classes = length_classes(text, np.full(len(text.stream), -math.log(4)))
    perplexities, counts = draw_document_length(classes, overall=4.0).axes
    sure = points(perplexities, "network, with 95 % intervals")
    assert np.array(sure) == pytest.approx(np.array([(0, 4), (2, 4)]))
    unsure = points(perplexities, "a single document")
    assert np.array(unsure) == pytest.approx(np.array([(1, 4)]))
    assert [text.get_text() for text in counts.texts] == ["2", "1", "3"]
    assert [tick.get_text() for tick in counts.get_xticklabels()] == ["1", "2", "4"]
    labels = [tick.get_text() for tick in perplexities.get_yticklabels()]
    assert {"2", "5"} <= set(labels)


def test_nothing_of_a_plot_lies_outside_it_or_over_something_else() -> None:
    """With all there can be in a legend, and many classes."""
    texts = ["a", *(" ".join(["a b"] * (2**n)) for n in range(1, 8) for _ in range(2))]
    text = text_of(*texts)
    classes = length_classes(text, np.full(len(text.stream), -math.log(4)))
    figure = draw_document_length(classes, overall=4.0)
    figure.draw_without_rendering()
    perplexities, counts = figure.axes
    legend = perplexities.get_legend()
    assert legend is not None
    labels = [tick.get_window_extent() for tick in counts.get_xticklabels()]
    for extent in (legend.get_window_extent(), *labels):
        assert 0 <= extent.x0 < extent.x1 <= figure.bbox.x1
    assert perplexities.bbox.width > 0.8 * figure.bbox.width
    assert all(left.x1 < right.x0 for left, right in pairwise(labels))


def test_a_model_in_ruins_can_be_drawn(bundle: Bundle, result: EvaluationResult) -> None:
    ruined = replace(
        result.network, log_probabilities=np.full(len(result.text.stream), -1e4, np.float64)
    )
    metrics = result.metrics.model_copy(update={"perplexity": math.inf})
    images = render_plots(bundle, replace(result, network=ruined, metrics=metrics), "svg")
    assert images["document-length"].startswith(b"<?xml")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    spec = importlib.util.find_spec("lorelm.evaluation.report.plots")
    assert spec is not None
    assert spec.loader is not None
    load: Callable[..., None] = spec.loader.exec_module
    with pytest.raises(MissingExtraError, match=r"drawing plots .*lorelm\[train\]"):
        load(importlib.util.module_from_spec(spec))


def test_pyplot_and_its_global_state_are_not_loaded() -> None:
    program = (
        "import sys, lorelm.evaluation.report.plots; print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"
