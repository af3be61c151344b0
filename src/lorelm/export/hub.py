"""Publish a model on the Hugging Face Hub: :func:`push`."""

from collections.abc import Mapping

from lorelm.bundle import Bundle
from lorelm.bundle.hub import PREFIX, hub_failures, hub_message
from lorelm.bundle.layout import BUNDLE_FILES
from lorelm.errors import BundleError, MissingExtraError

_CARD = "README.md"


def push(bundle: Bundle, repo: str, files: Mapping[str, bytes], *, is_private: bool) -> str:
    """Put the files of a bundle into a repository of the Hub, in one commit; return the commit.

    Files of a bundle that are there and not among `files` are deleted. A card is added where the
    repository has none.

    Args:
        repo: ``user/model``; it is made if there is none.
        is_private: whether a repository that is made is private; one that is there stays as it is.

    Raises:
        BundleError: the Hub refuses it, or cannot be reached.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    try:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    except ImportError as error:
        raise MissingExtraError("models on the Hugging Face Hub", "hub") from error
    api = HfApi(library_name="lorelm")
    contents = dict(files)
    try:
        api.create_repo(repo, private=is_private, exist_ok=True)
        there = set(api.list_repo_files(repo))
        if _CARD not in there:
            contents[_CARD] = card(bundle, repo).encode()
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationDelete(name) for name in BUNDLE_FILES if name in there - files.keys()),
            *(CommitOperationAdd(name, content) for name, content in contents.items()),
        ]
        commit = api.create_commit(repo, [*operations], commit_message="A model of LoreLM")
    except hub_failures() as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "; log in with hf auth login" if status in (401, 403) else ""
        raise BundleError(
            f"{PREFIX}{repo} cannot be written: {hub_message(error)}{hint}", code="hub.refused"
        ) from error
    return str(commit.oid)


def card(bundle: Bundle, repo: str) -> str:
    """Return the model card: what the model is, how good it is, and how to use it."""
    manifest = bundle.manifest
    facts = [f"It was made from {manifest.source}, and knows {manifest.num_words:,} words."]
    if manifest.metrics is not None:
        facts.append(
            f"Perplexity on text that it has not seen: {manifest.metrics.perplexity:.1f}"
            + (
                f", {manifest.metrics.bits_per_character:.3f} bits per character."
                if manifest.metrics.bits_per_character is not None
                else "."
            )
        )
    return "\n".join(
        [
            *("---", "library_name: lorelm", "pipeline_tag: text-generation"),
            *("tags:", "- lstm", "---", f"# {repo.partition('/')[2]}", ""),
            "A small word-level LSTM language model, made with LoreLM. " + " ".join(facts),
            *("", "```sh", 'pip install "lorelm[hub]"', f"lorelm serve {PREFIX}{repo}", "```", ""),
            "Say here what text it was trained on, under which licence the text is, and what the "
            "model may be used for.",
            "",
        ]
    )
