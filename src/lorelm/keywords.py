"""Keyword arguments of ``import lorelm``, for type checkers and editors.

Made from the declarations of the settings: python tests/test_keywords.py writes this file. A text
that names a file or a folder may be a path.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, TypedDict


class GenerationKeywords(TypedDict, total=False):
    """Settings of a generation."""

    max_len: int
    min_len: int
    temperature: float
    num_samples: int
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    logit_bias: Mapping[str | int, float]
    banned_words: Sequence[str]
    must_contain: Sequence[str]
    blend: Mapping[str | int, float]
    seed: int | None
    memory: str | None
    stop: Sequence[str]
    single_turn: bool
    novel_span: int
    num_alternatives: int | None


class TrainingKeywords(TypedDict, total=False):
    """Settings of a recipe, of a run, and of reading a corpus."""

    tokenizer: str
    min_frequency: int
    max_vocabulary: int
    vocabulary: str
    excluded_words: str
    embedding_size: int
    hidden_size: int
    num_layers: int
    tied: bool
    dropout: float
    locked_dropout: bool
    word_dropout: float
    recurrent_dropout: float
    activation_penalty: float
    temporal_penalty: float
    schedule: str
    learning_rate: float
    learning_rate_decay: float
    warm_up: float
    second_moment_decay: float
    weight_average: float
    max_gradient_norm: float
    batch_size: int
    bptt: int
    shuffle: bool
    epochs: int
    precision: str
    seed: int
    split_seed: int
    dropout_ramp: float
    sampled_words: int
    unfreezing: float
    init: str | PathLike[str] | None
    time_budget_seconds: float | None
    early_stopping: int
    device: str
    threads: int | None
    serving_only: bool
    compact: bool
    with_ngram: bool
    checkpoint_seconds: float
    checkpoint_steps: int | None
    tensorboard: str | PathLike[str] | None
    tracker: str | None
    text_column: str | None
    speaker_column: str | None
    scene_column: str | None
    document: Literal["line", "paragraph", "scene", "text"] | None
    encoding: str | None
    anonymise: bool


class ReadingKeywords(TypedDict, total=False):
    """Settings of reading a corpus."""

    text_column: str | None
    speaker_column: str | None
    scene_column: str | None
    document: Literal["line", "paragraph", "scene", "text"] | None
    encoding: str | None
    anonymise: bool


class TuningKeywords(TypedDict, total=False):
    """Settings of a tuning, its recipe and its training runs, and of reading a corpus."""

    tokenizer: str
    min_frequency: int
    max_vocabulary: int
    vocabulary: str
    excluded_words: str
    embedding_size: int
    hidden_size: int
    num_layers: int
    tied: bool
    dropout: float
    locked_dropout: bool
    word_dropout: float
    recurrent_dropout: float
    activation_penalty: float
    temporal_penalty: float
    schedule: str
    learning_rate: float
    learning_rate_decay: float
    warm_up: float
    second_moment_decay: float
    weight_average: float
    max_gradient_norm: float
    batch_size: int
    bptt: int
    shuffle: bool
    epochs: int
    precision: str
    seed: int
    split_seed: int
    dropout_ramp: float
    sampled_words: int
    unfreezing: float
    time_budget_seconds: float | None
    trials: int | None
    storage: str | None
    init: str | PathLike[str] | None
    device: str
    threads: int | None
    serving_only: bool
    compact: bool
    text_column: str | None
    speaker_column: str | None
    scene_column: str | None
    document: Literal["line", "paragraph", "scene", "text"] | None
    encoding: str | None
    anonymise: bool


class EvaluationKeywords(TypedDict, total=False):
    """Settings of an evaluation, and of reading a corpus."""

    interpolate: bool | None
    num_samples: int
    cache: bool
    blend: str | None
    add_ngram: bool
    precision: Literal["float32", "int8"] | None
    text_column: str | None
    speaker_column: str | None
    scene_column: str | None
    document: Literal["line", "paragraph", "scene", "text"] | None
    encoding: str | None
    anonymise: bool
