"""Samples with their copied spans marked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.memorisation import SPAN_LENGTHS, CopiedTexts, CopyIndex, TrainingText
from lorelm.evaluation.report.surprisal import split_space
from lorelm.ngrams.matches import longest_spans

SHORTEST_SPAN: Final = SPAN_LENGTHS[0]

_NUM_SAMPLES: Final = 12
_EXCERPT_CHARACTERS: Final = 160
_CUT_WORD: Final = r"\S{1,20}"  # bounded, for languages without spaces


@dataclass(frozen=True, kw_only=True)
class ShownSpan:
    """A copied span of a sample: its tokens from `start` to `end`."""

    start: int
    end: int
    text: str
    description: str


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
    return [show_sample(samples, place, result.text.tokenizer, result.index) for place in places]


def show_sample(
    samples: CopiedTexts, place: int, tokenizer: Tokenizer, index: CopyIndex | None
) -> ShownSample:
    """Return one of the samples with its copied spans marked."""
    sample, matches = samples.texts[place], samples.matches[place]
    spans = []
    for span in longest_spans(matches, min_length=SHORTEST_SPAN):
        end = span.start + span.length
        text = tokenizer.detokenize(sample.tokens[span.start : end]).strip()
        description = f"a span of {span.length} tokens"
        if isinstance(index, TrainingText):
            description += f", in “{excerpt(index.document_at(span.position), text)}”"
        spans.append(ShownSpan(start=span.start, end=end, text=text, description=description))
    num_tokens = len(sample.tokens)
    return ShownSample(
        number=place + 1,
        parts=list(_parts(sample.tokens, spans, tokenizer)),
        spans=spans,
        num_tokens=num_tokens,
        longest_copy=int(matches.lengths.max(initial=0)),
        copied_share=float(samples.num_copied[SHORTEST_SPAN][place] / max(num_tokens, 1)),
        is_complete=sample.is_complete,
    )


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
    tokens: Sequence[str], spans: Sequence[ShownSpan], tokenizer: Tokenizer
) -> Iterator[SamplePart]:
    """Cut a sample where a span begins or ends: spans may overlap, HTML elements may not."""
    borders = {border for span in spans for border in (span.start, span.end)}
    for begin, end in pairwise(sorted({0, len(tokens), *borders})):
        previous = tokens[begin - 1] if begin else None
        space, text = split_space(tokenizer.detokenize(tokens[begin:end], previous))
        around = [span for span in spans if span.start <= begin and end <= span.end]
        yield SamplePart(space=space, text=text, spans=around)
