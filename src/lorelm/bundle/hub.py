"""Models on the Hugging Face Hub, wherever a bundle is expected: ``hf://user/model@revision``.

Their own ``huggingface_hub`` downloads, caches and authenticates; it follows its environment
(``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME``, ``HF_HUB_OFFLINE``). Only files of the names of a
bundle are fetched, and the bundle checks their hashes when it is loaded.
"""

import re
from pathlib import Path
from typing import Final

from lorelm.bundle.layout import BUNDLE_FILES, CURVES, MANIFEST, METRICS
from lorelm.bundle.manifest import Manifest
from lorelm.errors import BundleError, MissingExtraError

PREFIX: Final = "hf://"

_SECONDS_TO_ANSWER: Final = 5.0

_ADDRESS: Final = re.compile(r"hf:/{1,2}(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>\S+))?")
"""A path of Python or of a shell has one slash of the two."""


def is_hub_address(path: str | Path) -> bool:
    """Return whether a path names a model on the Hub."""
    return str(path).startswith("hf:/")


def fetch(address: str | Path) -> Path:
    """Return the directory with the files of a model on the Hub; they are downloaded once.

    Raises:
        BundleError: there is no such model or revision, it is no model of LoreLM, or the Hub cannot
            be reached and the model was not downloaded before.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    found = _ADDRESS.fullmatch(str(address))
    if found is None:
        raise BundleError(
            f"{address} is no address on the Hugging Face Hub: write {PREFIX}user/model, or "
            f"{PREFIX}user/model@revision for one version of it",
            code="hub.address",
        )
    repo, revision = found["repo"], found["revision"]
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
    except ImportError as error:
        raise MissingExtraError("models on the Hugging Face Hub", "hub") from error
    try:
        _check_reachable(repo, revision)
        manifest = Path(hf_hub_download(repo, MANIFEST, revision=revision))
        # Whatever happens on the Hub meanwhile, the files are of one commit.
        commit = manifest.parent.name
        listed = Manifest.from_json(manifest.read_bytes(), where=f"{MANIFEST} of {address}").files
        wanted = [n for n in BUNDLE_FILES if n in listed or n in (MANIFEST, METRICS, CURVES)]
        return Path(snapshot_download(repo, revision=commit, allow_patterns=wanted))
    except BundleError:  # a ValueError, too
        raise
    except hub_failures() as error:
        raise _explained(error, f"{PREFIX}{repo}", revision) from error


def _check_reachable(repo: str, revision: str | None) -> None:
    """Ask the Hub once for a model that was not downloaded before: its library asks for 24 seconds.

    Raises:
        BundleError: it cannot be reached.
    """
    from huggingface_hub import (
        errors,
        get_hf_file_metadata,
        hf_hub_url,
        try_to_load_from_cache,
    )

    if isinstance(try_to_load_from_cache(repo, MANIFEST, revision=revision), str):
        return
    url = hf_hub_url(repo, MANIFEST, revision=revision)
    try:
        get_hf_file_metadata(url, timeout=_SECONDS_TO_ANSWER)
    except errors.HfHubHTTPError:
        return  # it answers: the download says what is wrong, or tries again
    except (_network_error(), OSError) as error:
        raise _offline(f"{PREFIX}{repo}") from error


def _offline(name: str) -> BundleError:
    return BundleError(
        f"{name} was not downloaded before, and the Hub cannot be reached now: try again when "
        "you are online (and HF_HUB_OFFLINE is not set)",
        code="hub.offline",
    )


def _explained(error: Exception, name: str, revision: str | None) -> BundleError:
    """Return what an error of the Hub's library means for the user."""
    from huggingface_hub import errors

    if isinstance(error, errors.RevisionNotFoundError):
        return BundleError(
            f"{name} has no revision {revision}: name a branch, a tag or a commit of it",
            code="hub.no_revision",
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        return _offline(name)
    if isinstance(error, errors.RepositoryNotFoundError):
        return BundleError(
            f"there is no {name} on the Hub, or it is private: check the name, or log in with hf "
            "auth login",
            code="hub.not_found",
        )
    if isinstance(error, errors.EntryNotFoundError):
        return BundleError(
            f"{name} is no model of LoreLM: it has no {MANIFEST}", code="hub.no_model"
        )
    return BundleError(f"{name} cannot be downloaded: {hub_message(error)}", code="hub.failed")


def hub_failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of the Hub's library when the Hub refuses, or cannot be reached."""
    from huggingface_hub import errors

    network = _network_error()
    return errors.HfHubHTTPError, errors.EntryNotFoundError, network, OSError, ValueError


def _network_error() -> type[Exception]:
    """Return the error of the library that it speaks HTTP with, which differs by its version."""
    from huggingface_hub import errors

    network: type[Exception] = getattr(errors, "HTTPError", OSError)
    return network


def hub_message(error: Exception) -> str:
    """Return the first line of what the Hub's library says of an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
