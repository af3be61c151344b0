"""One sample from prompt to finish, :class:`Sequence`, and the request that it belongs to.

A plain generator or an engine writes sequences. The engine's thread alone changes them; a client's
thread may look at the text and the status meanwhile, and detokenizes what has no stop texts.
"""

import math
from collections import abc
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.detokenizer import Detokenizer
from lorelm.generation.logits import LogitsProcessor, SpeakerRules, TokenScore, score_tokens
from lorelm.generation.settings import GenerationSettings
from lorelm.typing import Floats32, Ids

if TYPE_CHECKING:
    from lorelm.generation.handle import RequestHandle

FinishReason = Literal["eos", "length", "stop", "timeout", "cancelled"]
Status = Literal["waiting", "running", "error", FinishReason]

_FINISH_REASONS: Final = get_args(FinishReason)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text as the model reads it.

    Attributes:
        text: as it was written.
        tokens: of the text, as the model knows them (:meth:`Vocabulary.known_form`); one that it
            does not know has the id of `<unk>`.
        last_token: as it is written, which decides whether a space follows it.
        unknown_words: those tokens, each once, as they are written.
        is_in_ids: whether it was given as ids; the text is then made from them.
        has_eos: whether it was given with the `<eos>` that usually precedes a prompt.
        stand_ins: unknown tokens by the ids that they are read as (see `stand_ins.py`).
        other_speakers: tokens that are read as `<other speaker>`, the one who has been silent the
            longest first.
        names_known_speaker: whether one of the speakers in it has a token of their own.
    """

    text: str
    tokens: abc.Sequence[str]
    last_token: str | None
    ids: Ids
    unknown_words: abc.Sequence[str]
    is_in_ids: bool = False
    has_eos: bool = False
    stand_ins: abc.Mapping[int, str] = field(default_factory=dict)
    other_speakers: abc.Sequence[str] = ()
    names_known_speaker: bool = False


@dataclass(frozen=True, kw_only=True)
class RequiredWord:
    """A word that a sample is to contain.

    Attributes:
        text: as it was asked for.
        ids: of its forms; any of them will do.
    """

    text: str
    ids: abc.Sequence[int]


@dataclass(kw_only=True, eq=False)
class GenerationRequest:
    """A prompt, how to continue it, and the sequences that do, one per sample.

    Attributes:
        only_reads: nothing is generated; the prompt is read and its tokens are scored.
        stop: texts at which a sample ends, those of the settings among them.
        required_words: what the next sentence of each sample is to contain.
        score_prompt: score the tokens of the prompt too.
        deadline: on the clock `time.monotonic`; the sequences end there.
        sequences: the first one reads the prompt for all: the others wait until its state is known.
        handle: of the client, once the request is submitted to an engine.
    """

    prompt: Prompt
    settings: GenerationSettings
    stop: abc.Sequence[str] = ()
    required_words: abc.Sequence[RequiredWord] = ()
    only_reads: bool = False
    score_prompt: bool = False
    deadline: float = math.inf
    sequences: list["Sequence"] = field(default_factory=list)
    handle: "RequestHandle" = field(init=False)


class Sequence:
    """One sample of a request: its tokens, its text, and its status.

    `<unk>` is never generated. Each token takes one number from the sequence's own generator
    (Philox, a counter), so a seed gives the same text whatever is generated beside it.

    Args:
        input_ids: of the prompt, with the `<eos>` that it is read after.
        mixture: turns the network's logits into those of the model.
        speaker_rules: what may follow a speaker; None where the model has none.
        processors: change the logits of the model, in this order.

    Attributes:
        token_ids: all that are known: those of the prompt, then the generated ones. An `<eos>` that
            ends the sample is left out.
        num_prompt_ids: how many of them are the prompt.
        num_read: how many of them the model has read.
        status: "waiting" for a slot, "running", or why it is finished: "eos", the model ended the
            document; "stop", a stop text came up; "length", neither did within the maximum length;
            "timeout", nor before the deadline; "cancelled" by the client; "error".
        error: what went wrong, if the status is "error".
        last_speaker: how many ids were looked through for the last speaker's, and that one; None
            before the first.
        wants_tokens: whether the handle is notified of each token: of the first one, to take its
            time, and of all if they are streamed.
        has_stop: whether there are stop texts; they are matched as tokens are appended.
        random: its uniform numbers pick the tokens, one each.
        scores: of the generated tokens, if they are scored.
        prompt_scores: of the prompt's tokens, if they are scored; the first id that is read has
            none.
    """

    def __init__(
        self,
        request: GenerationRequest,
        input_ids: Iterable[int],
        *,
        seed: int,
        detokenizer: Detokenizer,
        mixture: LogitsProcessor | None = None,
        speaker_rules: SpeakerRules | None = None,
        processors: Iterable[LogitsProcessor] = (),
    ) -> None:
        self.request = request
        self.settings = request.settings
        self.seed = seed
        self.detokenizer = detokenizer
        self.mixture = mixture
        self.speaker_rules = speaker_rules
        self.processors = list(processors)
        self.token_ids = list(input_ids)
        self.num_prompt_ids = len(self.token_ids)
        self.num_read = 0
        self.status: Status = "waiting"
        self.last_speaker: tuple[int, int | None] = (0, None)
        self.wants_tokens = True
        self.has_stop = bool(request.stop)
        self.error: Exception | None = None
        self.scores: list[TokenScore] = []
        self.prompt_scores: list[TokenScore] = []
        self.random = np.random.Generator(np.random.Philox(seed))
        # Sampling starts with the logits that follow the last id of the prompt.
        self._num_to_read = self.num_prompt_ids - (not request.only_reads)
        self._min_ids = self.num_prompt_ids + request.settings.min_len
        self._max_ids = self.num_prompt_ids + request.settings.max_len

    @property
    def ids(self) -> list[int]:
        """The generated ids."""
        return self.token_ids[self.num_prompt_ids :]

    @property
    def num_tokens(self) -> int:
        """How many ids are generated."""
        return len(self.token_ids) - self.num_prompt_ids

    @property
    def is_reading(self) -> bool:
        """Whether no token is sampled after the next input."""
        return self.num_read < self._num_to_read

    @property
    def is_early(self) -> bool:
        """Whether it may not end by `<eos>` yet."""
        return len(self.token_ids) < self._min_ids

    @property
    def is_finished(self) -> bool:
        return self.status not in ("waiting", "running")

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it is finished; None if it is not, or failed."""
        return cast(FinishReason, self.status) if self.status in _FINISH_REASONS else None

    @property
    def lacks_prompt_scores(self) -> bool:
        """Whether the prompt is to be scored and has not been read to its end."""
        return self.request.score_prompt and len(self.prompt_scores) < self.num_prompt_ids - 1

    def read(self, logits_V: Floats32) -> None:
        """Go on to the next id of the prompt.

        Args:
            logits_V: the network's, after the input that it has read.
        """
        if self.request.score_prompt and self.num_read + 1 < self.num_prompt_ids:
            if self.mixture is not None:
                logits_V = self.mixture(logits_V, self)
            next_id = self.token_ids[self.num_read + 1]
            if next_id in self.request.prompt.stand_ins:
                next_id = UNK_ID  # as it would be scored alone
            self.prompt_scores += score_tokens(
                logits_V[None], [next_id], [self.settings.num_alternatives or 0]
            )
        self.num_read += 1
        if self.num_read == self.num_prompt_ids:
            self.finish("length")

    def append(self, id_: int, score: TokenScore | None = None) -> None:
        """Append the id that was sampled, and finish if that ends the sample."""
        self.num_read += 1
        if id_ == EOS_ID:
            self.finish("eos")
            return
        # A client that sees the token may look at its score and its chunk, so they come first.
        if score is not None:
            self.scores.append(score)
        if self.has_stop:
            self.detokenizer.extend((id_,))
        self.token_ids.append(id_)
        if self.has_stop and self.detokenizer.is_stopped:
            self.finish("stop")
        elif len(self.token_ids) == self._max_ids:
            self.finish("length")

    def finish(self, status: Status, error: Exception | None = None) -> None:
        """End the sequence; it stays as it is if it has ended already."""
        if not self.is_finished:
            if self.has_stop:
                self.detokenizer.flush()
            self.error = error
            self.status = status

    def detokenize(self) -> int:
        """Make chunks of the tokens that have none; return how many are certain."""
        if not self.has_stop:  # Otherwise append() has done it.
            first = self.num_prompt_ids + len(self.detokenizer.chunks)
            self.detokenizer.extend(self.token_ids[first:])
        return self.detokenizer.num_certain

    @property
    def missing_words(self) -> list[str]:
        """The required words that the text, up to the first stop text, does not have."""
        self.detokenize()
        tokenizer, words = self.detokenizer.tokenizer, self.detokenizer.words
        written = {
            id_
            for id_, chunk in zip(self.ids, self.detokenizer.chunks, strict=False)
            if chunk.strip() == tokenizer.piece(words[id_], None)  # else a stop text cuts it
        }
        required = self.request.required_words
        return [word.text for word in required if not written.intersection(word.ids)]

    def text(self, num_tokens: int | None = None) -> str:
        """Return the text of the first tokens, up to the first stop text; of all by default."""
        self.detokenize()
        return "".join(self.detokenizer.chunks[:num_tokens])
