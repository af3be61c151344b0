"""What the writing page shows: the settings with a control, alternatives, tints, the perplexity.

The page of the server and the one that is exported both have it from here.
"""

from dataclasses import replace
from typing import Final

from lorelm.bundle.manifest import Manifest
from lorelm.generation.settings import GenerationSettings
from lorelm.parameters import Parameter, parameters_of

_PARAMETERS: Final = parameters_of(GenerationSettings)

CONTROLS: Final = [each for each in _PARAMETERS.values() if each.label]
"""The parameters that have a control."""

SECOND_TEMPERATURE: Final = replace(
    _PARAMETERS["temperature"],
    name="temperature_b",
    label="Second temperature",
    help="all else is the same, the seed too",
    default=1.5,
)

BLEND_SHARE: Final = Parameter(
    "Share of the second model; at 0, the first one writes alone.",
    min=0,
    max=1,
    label="Blend of both models",
    name="blend_share",
    default=0.0,
)

NUM_ALTERNATIVES: Final = 5
"""Number of other words shown for each one that was generated."""

LEVEL_BOUNDS: Final = (0.5, 0.2, 0.05, 0.01)
"""Lower bounds of a word's probability for levels 0 to 3; below the last one, it has level 4."""


def shown_perplexity(manifest: Manifest, *, is_mixed: bool) -> float | None:
    """Return the perplexity on the test part, of the network or of the mixture; None: unknown."""
    metrics, training = manifest.metrics, manifest.training
    if is_mixed:
        return None if metrics is None else metrics.mixture_perplexity
    return None if training is None else training.test_perplexity
