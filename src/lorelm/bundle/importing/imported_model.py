"""From a foreign model to a bundle: :func:`import_model`."""

from dataclasses import dataclass, field
from pathlib import Path

from lorelm.bundle.importing.foreign_model import ModelFromElsewhere, read_model
from lorelm.bundle.importing.reconciling import reconcile
from lorelm.bundle.manifest import ImportedFacts, Manifest
from lorelm.bundle.writer import BundleContents, lock_output_dir, save_bundle
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.runtime.step_graph import PRECISIONS, build_step_graph


@dataclass(frozen=True, kw_only=True)
class ImportedModel(ModelFromElsewhere):
    """A model that was trained elsewhere, as LoreLM has it: rows of the weights in our order.

    Attributes:
        never_written: words that are not to be generated.
        never_seen: of `<unk>` and `<eos>`, those that the checkpoint lacks: they have rows that
            nothing is generated from.
    """

    vocabulary: Vocabulary = field(repr=False)
    never_written: tuple[str, ...]
    never_seen: tuple[str, ...]

    def save(self, out: str | Path) -> None:
        """Writes the bundle, in place of one that may be there, all of it or nothing.

        Raises:
            BundleError: it cannot be written, or the folder holds other things.
            MissingExtraError: the packages that write a bundle are not installed.
        """
        manifest = Manifest(
            tokenizer=self.tokenizer.style,
            model=self.config,
            reads_eos_first=False,
            never_written=self.never_written,
            precision="float32",  # what int8 costs this model was not measured
            imported=ImportedFacts(
                checkpoint=self.checkpoint,
                vocabulary=self.vocabulary_file,
                never_seen=self.never_seen,
                notices=self.notices,
            ),
        )
        graphs = {p: build_step_graph(self.weights, self.config, p) for p in PRECISIONS}
        contents = BundleContents(
            manifest=manifest, vocabulary=self.vocabulary, graphs=graphs, weights=self.weights
        )
        with lock_output_dir(out):
            save_bundle(out, contents)


def import_model(
    checkpoint: str | Path, vocabulary: str | Path | None = None, *, tokenizer: str | None = None
) -> ImportedModel:
    """Reads a model that was trained elsewhere, and makes it one of ours.

    Arguments and errors are those of :func:`read_model`.
    """
    foreign = read_model(checkpoint, vocabulary, tokenizer=tokenizer)
    made = reconcile(foreign.config, foreign.weights, foreign.fitted)
    return ImportedModel(
        config=made.config,
        weights=made.weights,
        vocabulary=made.vocabulary,
        tokenizer=foreign.tokenizer,
        is_tokenizer_guessed=foreign.is_tokenizer_guessed,
        notices=(*foreign.notices, *made.notices),
        never_written=made.never_written,
        never_seen=made.never_seen,
        checkpoint=foreign.checkpoint,
        vocabulary_file=foreign.vocabulary_file,
    )
