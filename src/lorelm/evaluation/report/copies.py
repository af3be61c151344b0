"""Samples with their copied spans marked."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.memorisation import SPAN_LENGTHS, CopiedTexts, TrainingText
from lorelm.evaluation.report.surprisal import split_space
from lorelm.ngrams.matches import Span, covered

SHORTEST_SPAN: Final = SPAN_LENGTHS[0]

_NUM_SAMPLES: Final = 12
_EXCERPT_CHARACTERS: Final = 160
_CUT_WORD: Final = r"\S{1,20}"  # bounded, for languages without spaces


@dataclass(frozen=True, kw_only=True)
class ShownSpan:
    """A copied span of a sample.

    Attributes:
        source: the training document, or the part of it around the span; None without the training
            text.
    """

    text: str
    num_tokens: int
    source: str | None

    @property
    def description(self) -> str:
        described = f"a span of {self.num_tokens} tokens"
        return described if self.source is None else f"{described}, in “{self.source}”"


@dataclass(frozen=True, kw_only=True)
class SamplePart:
    """Consecutive tokens of a sample that are in the same copied spans, or in none.

    Attributes:
        space: the white space before it.
    """

    space: str
    text: str
    spans: Sequence[ShownSpan]


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """A sample with its copied spans marked.

    Attributes:
        number: its place among all samples, from 1.
        copied_share: share of its tokens in the spans.
        is_complete: whether the network ended it, not the token limit.
    """

    number: int
    parts: Sequence[SamplePart]
    spans: Sequence[ShownSpan]
    num_tokens: int
    longest_copy: int
    copied_share: float
    is_complete: bool


def shown_samples(result: EvaluationResult) -> list[ShownSample]:
    """Return the samples with the longest copied spans, longest first."""
    samples = result.samples
    if samples is None:
        return []
    longest = [int(matches.lengths.max(initial=0)) for matches in samples.matches]
    places = sorted(range(len(longest)), key=lambda place: -longest[place])[:_NUM_SAMPLES]
    index = result.index
    document_at = index.document_at if isinstance(index, TrainingText) else None
    return [show_sample(samples, place, result.text.tokenizer, document_at) for place in places]


def show_sample(
    samples: CopiedTexts,
    place: int,
    tokenizer: Tokenizer,
    document_at: Callable[[int], str] | None,
) -> ShownSample:
    """Return one of the samples with its copied spans marked.

    Args:
        document_at: returns the training document at a position of a match.
    """
    sample, lengths = samples.texts[place], samples.matches[place].lengths
    spans = samples.spans(place, min_length=SHORTEST_SPAN)
    copied = [_copied_span(sample.tokens, span, tokenizer, document_at) for span in spans]
    num_copied = int(covered(lengths, min_length=SHORTEST_SPAN).sum())
    return ShownSample(
        number=place + 1,
        parts=list(_parts(sample.tokens, spans, copied, tokenizer)),
        spans=copied,
        num_tokens=len(sample.tokens),
        longest_copy=int(lengths.max(initial=0)),
        copied_share=num_copied / max(len(sample.tokens), 1),
        is_complete=sample.is_complete,
    )


def _copied_span(
    tokens: Sequence[str],
    span: Span,
    tokenizer: Tokenizer,
    document_at: Callable[[int], str] | None,
) -> ShownSpan:
    text = tokenizer.detokenize(tokens[span.start : span.start + span.length]).strip()
    source = None if document_at is None else excerpt(document_at(span.position), text)
    return ShownSpan(text=text, num_tokens=span.length, source=source)


def excerpt(document: str, span_text: str) -> str:
    """Return a document on one line, or the part of a long one around a span."""
    margin = max((_EXCERPT_CHARACTERS - len(span_text)) // 2, 0)
    begin = max(document.find(span_text) - margin, 0)
    end = begin + _EXCERPT_CHARACTERS
    if len(document) <= _EXCERPT_CHARACTERS:
        begin, end = 0, len(document)
    line = " ".join(document[begin:end].split())
    if begin:
        line = "… " + re.sub(rf"^{_CUT_WORD} ", "", line)
    if end < len(document):
        line = re.sub(rf" {_CUT_WORD}$", "", line) + " …"
    return line


def _parts(
    tokens: Sequence[str], spans: Sequence[Span], copied: Sequence[ShownSpan], tokenizer: Tokenizer
) -> Iterator[SamplePart]:
    """Cut a sample where a span begins or ends: spans may overlap, HTML elements may not."""
    ends = [span.start + span.length for span in spans]
    borders = sorted({0, len(tokens), *(span.start for span in spans), *ends})
    for begin, end in pairwise(borders):
        previous = tokens[begin - 1] if begin else None
        space, text = split_space(tokenizer.detokenize(tokens[begin:end], previous))
        around = [
            copy
            for copy, span, span_end in zip(copied, spans, ends, strict=True)
            if span.start <= begin and end <= span_end
        ]
        yield SamplePart(space=space, text=text, spans=around)
