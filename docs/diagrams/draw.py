"""Draw the diagrams of the documentation: `python docs/diagrams/draw.py`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from network_drawing import network
from prediction_drawings import kneser_ney, neural_cache, perplexity, sampling, seeds
from serving_drawings import continuous_batching, quantisation
from svg import Drawing
from training_drawings import lstm, truncated_bptt, way_of_the_data

IMAGES: Final = Path(__file__).resolve().parents[1] / "images"

DRAWINGS: Final[dict[str, Callable[[], Drawing]]] = {
    "way-of-the-data": way_of_the_data,
    "network": network,
    "lstm": lstm,
    "truncated-bptt": truncated_bptt,
    "perplexity": perplexity,
    "kneser-ney": kneser_ney,
    "sampling": sampling,
    "seeds": seeds,
    "neural-cache": neural_cache,
    "quantisation": quantisation,
    "continuous-batching": continuous_batching,
}


def main() -> None:
    for name, draw in DRAWINGS.items():
        (IMAGES / f"{name}.svg").write_text(draw().svg(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
