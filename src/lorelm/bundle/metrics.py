"""What an evaluation measured, as a bundle's manifest keeps it."""

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]


class Section(BaseModel):
    """A part of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LineMetrics(Section):
    """What the lines before a line, and its speaker, are worth; of lines with others before them.

    Ends of documents, line breaks and the tokens of speakers are not counted.

    Attributes:
        lines: number of lines that were measured.
        perplexity: of their words and punctuation. `alone_` is without the lines before, `unnamed_`
            with `<other speaker>` in place of the speaker.
        speakers: number of speakers with a token, all others being one.
        speaker_lines: number of those lines that have a speaker.
        speaker_accuracy: share of lines whose speaker the model finds likeliest, the lines before
            and the line itself given, with its 95 % interval. `ngram_` is of the n-gram baseline.
        speaker_majority: share of the speaker with most lines.
    """

    lines: int
    perplexity: float
    bits_per_character: float | None = None
    alone_perplexity: float
    alone_bits_per_character: float | None = None
    unnamed_perplexity: float | None = None
    unnamed_bits_per_character: float | None = None
    speakers: int | None = None
    speaker_lines: int | None = None
    speaker_accuracy: float | None = None
    speaker_accuracy_interval: Interval | None = None
    speaker_majority: float | None = None
    ngram_speaker_accuracy: float | None = None


class Metrics(Section):
    """What an evaluation measured on a text; ``lorelm evaluate --json`` prints it.

    A metric that could not be measured is null. Intervals are 95 % bootstrap intervals over the
    documents.

    Attributes:
        tokens: target tokens: all tokens, and an `<eos>` per document.
        perplexity: of the network, over its vocabulary.
        unknown_rate: share of the words that became `<unk>`.
        bits_per_character: of the network; an unknown word costs its spelling too.
        calibration_error: expected calibration error of the network's top prediction, in ten bins.
        ngram_perplexity: of the n-gram baseline on the same target tokens. `mixture_` is the
            mixture of network and baseline.
        ngram_perplexities: of the n-gram models of order 1, 2, and so on.
        is_mixed: whether the mixture is what the model generates and scores with by default.
        ngram_ratio_interval: of the network's perplexity over the baseline's; if it contains 1,
            the difference is not significant.
        cache_perplexity: of the network with the neural cache. `cache_mixture_` is the mixture of
            that with the baseline.
        blend_perplexity: of the network blended with that of another model, `blend_model`, whose
            share is `blend_share`. `blend_ratio_interval` is of this perplexity over the network's.
        blend_seen_share: `seen_share` for the training text of that model.
        blend_lacks_mixture: whether one of both models is mixed with its n-gram model by default,
            which the blend of the networks leaves out.
        seen_documents: number of documents that are in the training text; null without an index.
        seen_share: share of the tokens in those documents. Above a few per cent, all metrics are
            too good.
        samples: number of texts that were generated to look for copies.
        copied_share: for each span length, the share of their tokens in spans of at least that
            length that are in the training text.
        longest_copy: length of the longest such span in tokens.
        copied_lines_share: share of their whole lines that are a line of the training text.
        distinct_share: distinct n-grams over all n-grams, for each n.
        human_copied_share: the same for the text itself, which people wrote. `human_distinct_share`
            is of a first part of it, as long as the samples.
        copied_excess_interval: of `copied_share` less `human_copied_share`.
        structure: what the lines before a line, and its speaker, are worth; null for single lines.
    """

    text: str
    documents: int
    tokens: int
    characters: int
    precision: str
    perplexity: float
    perplexity_interval: Interval
    unknown_rate: float
    unknown_rate_interval: Interval
    bits_per_character: float | None = None
    bits_per_character_interval: Interval | None = None
    calibration_error: float
    ngram_order: int | None = None
    ngram_perplexity: float | None = None
    ngram_perplexity_interval: Interval | None = None
    ngram_bits_per_character: float | None = None
    ngram_bits_per_character_interval: Interval | None = None
    ngram_perplexities: tuple[float, ...] = ()
    ngram_ratio_interval: Interval | None = None
    is_mixed: bool = False
    mixture_weight: float | None = None
    mixture_perplexity: float | None = None
    mixture_perplexity_interval: Interval | None = None
    mixture_bits_per_character: float | None = None
    mixture_bits_per_character_interval: Interval | None = None
    cache_perplexity: float | None = None
    cache_perplexity_interval: Interval | None = None
    cache_bits_per_character: float | None = None
    cache_bits_per_character_interval: Interval | None = None
    cache_mixture_perplexity: float | None = None
    cache_mixture_perplexity_interval: Interval | None = None
    cache_mixture_bits_per_character: float | None = None
    cache_mixture_bits_per_character_interval: Interval | None = None
    blend_model: str | None = None
    blend_share: float | None = None
    blend_perplexity: float | None = None
    blend_perplexity_interval: Interval | None = None
    blend_bits_per_character: float | None = None
    blend_bits_per_character_interval: Interval | None = None
    blend_ratio_interval: Interval | None = None
    blend_seen_share: float | None = None
    blend_lacks_mixture: bool = False
    seen_documents: int | None = None
    seen_share: float | None = None
    samples: int = 0
    sample_tokens: int = 0
    sample_temperature: float | None = None
    sample_min_p: float | None = None
    copied_share: dict[int, float] | None = None
    longest_copy: int | None = None
    copied_lines_share: float | None = None
    distinct_share: dict[int, float] | None = None
    human_copied_share: dict[int, float] | None = None
    human_longest_copy: int | None = None
    human_copied_lines_share: float | None = None
    human_distinct_share: dict[int, float] | None = None
    copied_excess_interval: dict[int, Interval] | None = None
    structure: LineMetrics | None = None
