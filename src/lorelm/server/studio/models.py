"""The place *Models*: a card for each, with what to do with it."""

import io
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from flask import Blueprint, redirect, render_template, request, send_file
from werkzeug.wrappers import Response

from lorelm.bundle import Bundle, packing
from lorelm.bundle.dir_lock import is_locked
from lorelm.bundle.files import find_manifest, pack_bytes
from lorelm.bundle.layout import MANIFEST, PACK_ENDING, WEIGHTS
from lorelm.bundle.manifest import Manifest
from lorelm.errors import InputError, LoreLMError
from lorelm.export.site import SiteOptions, site_files
from lorelm.runs.run import Run
from lorelm.server.errors import status_of, wants_json
from lorelm.server.studio.errands import reading_flags, sample_of
from lorelm.server.studio.library import Library
from lorelm.server.studio.names import base_name, quoted_name
from lorelm.server.studio.state import StudioState, studio_state

models = Blueprint("models", __name__, url_prefix="/models")

_COMMAND_SECONDS: Final = 600.0
_COPIED_SPAN: Final = 6
"""Spans of at least so many tokens are counted as copies, as in the evaluation's summary."""

_OTHER_TEXT: Final = re.compile(r": (bring it there|name (a|another) text)\b.*", re.DOTALL)
"""Advice of commands for which a page has other ways."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model as its card shows it.

    Attributes:
        sample: None while it is written.
        is_busy: a run works on it.
    """

    name: str
    run: Run
    manifest: Manifest
    num_bytes: int
    made_at: datetime
    sample: str | None
    is_busy: bool

    @property
    def copied_share(self) -> float | None:
        """Of the tokens of samples, those in spans that are copied from the training text."""
        metrics = self.manifest.metrics
        shares = metrics.copied_share if metrics else None
        return shares.get(_COPIED_SPAN) if shares else None

    @property
    def can_be_extended(self) -> bool:
        return self.manifest.imported is None and WEIGHTS in self.manifest.files


@models.get("")
def list_models() -> str:
    """Show the cards of all models."""
    return _list_page()


@models.post("")
def add_model() -> Response | tuple[str, int] | tuple[dict[str, str], int]:
    """Take a model that lorelm pack has made, or the studio's Download."""
    upload = request.files.get("file")
    try:
        if upload is None or not upload.filename:
            raise InputError("no file arrived: choose one", code="studio.no_file")
        name = _add_pack(upload.filename, upload.stream)
    except LoreLMError as error:
        if wants_json():
            raise
        return _list_page(error=str(error)), status_of(error)
    studio_state().errands.write_sample(name)
    if wants_json():
        return {"url": f"models#{quoted_name(name)}"}, 201
    return redirect("models", code=303)


@models.post("/<name>/rename")
def rename_model(name: str) -> Response:
    state = studio_state()
    _refuse_busy(state, name)
    folders = (state.library.root / "models", state.library.runs_dir)
    with state.library.lock:
        new = state.library.rename("models", name, request.form.get("title", ""))
        for folder in folders:
            state.queue.follow_rename(folder / name, folder / new)
    return redirect("../../models", code=303)


@models.post("/<name>/duplicate")
def duplicate_model(name: str) -> Response:
    studio_state().library.duplicate_model(name)
    return redirect("../../models", code=303)


@models.post("/<name>/delete")
def delete_model(name: str) -> Response:
    state = studio_state()
    _refuse_busy(state, name)
    state.library.delete("models", name)
    return redirect("../../models", code=303)


@models.get("/<name>/download")
def download_model(name: str) -> Response:
    """Send a model as one file."""
    bundle = Bundle.load(studio_state().library.path("models", name))
    files = packing.packed_files(
        bundle,
        fingerprints="no_fingerprints" not in request.args,
        weights="serving_only" not in request.args,
    )
    return send_file(
        io.BytesIO(pack_bytes(files)),
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=f"{name}{PACK_ENDING}",
    )


@models.get("/<name>/site")
def download_site(name: str) -> Response:
    """Send a model as a web site that needs no server, in a zip archive."""
    bundle = Bundle.load(studio_state().library.path("models", name))
    options = SiteOptions(title=name, fingerprints="no_fingerprints" not in request.args)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for file, data in site_files(bundle, options).items():
            archive.writestr(f"site/{file}", data)
    content.seek(0)
    return send_file(content, as_attachment=True, download_name=f"{name} - web site.zip")


@models.get("/<name>/sample")
def show_sample(name: str) -> dict[str, str | None]:
    """Return what a model has written for its card; null while it writes."""
    return {"sample": sample_of(studio_state().library.path("models", name))}


@models.get("/<name>/report")
def show_report(name: str) -> Response:
    """Send the report of an evaluation, with plots of everything that was measured."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        _run_on_corpus(["evaluate"], [name], ["--report", str(report)])
        content = io.BytesIO(report.read_bytes())
    return send_file(content, as_attachment=True, download_name=f"{name} - report.html")


@models.get("/compare")
def compare_models() -> str:
    """Show two models side by side, on a text or on the test part of the corpus of both."""
    state = studio_state()
    names = [name for name in request.args.getlist("model") if name][:2]
    text, table, error = request.args.get("text", ""), "", ""
    if len(names) == 2:
        try:
            chosen = _text_flags(text)
            table = _run_on_corpus(
                ["runs", "compare"], names, chosen, remedy=': choose a text under "On"'
            )
        except InputError as problem:
            error = str(problem)
    return render_template(
        "studio/compare.html",
        place="models",
        cards=_cards(state),
        names=names,
        texts=[each for each in state.library.names("texts") if not state.library.text(each).error],
        text=text,
        table=table,
        error=error,
    )


def _text_flags(text: str) -> list[str]:
    """Return the flags that compare models on a text of the studio, if one is chosen."""
    if not text:
        return []
    chosen = studio_state().library.text(text)
    files = chosen.files
    if len(files) != 1:
        raise InputError(
            f"{text} has {len(files)} files, and models are compared on one: join them in one text",
            code="studio.several_files",
        )
    return ["--text", str(files[0]), *reading_flags(chosen.options)]


def _run_on_corpus(
    command: Sequence[str], names: Sequence[str], flags: Sequence[str], *, remedy: str = ""
) -> str:
    """Run a command on models where it finds the text that the first one was trained on.

    Args:
        remedy: what to do if there is no text that all of them can be measured on.

    Raises:
        InputError: the command failed, in words that name no folder of the studio.
    """
    state = studio_state()
    library = state.library
    paths = [library.path("models", name) for name in names]
    manifest = find_manifest(paths[0])
    corpus = library.find_corpus(manifest) if manifest else None
    folder = corpus.files_dir if corpus else None
    arguments = [*command, *map(str, paths), *flags]
    try:
        said = state.commands.run(arguments, timeout_seconds=_COMMAND_SECONDS, folder=folder)
    except InputError as error:
        sentence = _OTHER_TEXT.sub(remedy, str(error))
        raise InputError(_without_folders(library, sentence), code=error.code) from error
    return _without_folders(library, said)


def _without_folders(library: Library, text: str) -> str:
    """Return what a command said with names of models and files for paths, its columns in line."""
    prefix = f"{library.root / 'models'}{os.sep}"
    texts, separator = re.escape(f"{library.root / 'texts'}{os.sep}"), re.escape(os.sep)
    text = re.sub(rf"{texts}[^\n{separator}]+{separator}files{separator}", "", text)
    lines = text.split("\n")
    # The first column of a table is as much narrower.
    blank = " " * len(prefix)
    return "\n".join(line.removeprefix(blank).replace(prefix, "") for line in lines)


def _list_page(error: str = "") -> str:
    state = studio_state()
    return render_template(
        "studio/models.html",
        place="models",
        cards=_cards(state),
        deleted=[each for each in state.library.deleted() if each.kind == "models"],
        error=error,
    )


def _cards(state: StudioState) -> list[Card]:
    busy = {job.name for job in state.queue.jobs() if job.is_busy}
    cards = []
    for name in state.library.names("models"):
        path = state.library.root / "models" / name
        manifest = find_manifest(path)
        if manifest is None:  # an unfinished run, which Train lists
            continue
        sample = sample_of(path)
        if sample is None:
            state.errands.write_sample(name)
        made_at = datetime.fromtimestamp((path / MANIFEST).stat().st_mtime, UTC)
        num_bytes = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        cards.append(
            Card(
                name=name,
                run=Run(path=path, state="finished", manifest=manifest),
                manifest=manifest,
                num_bytes=num_bytes,
                made_at=made_at,
                sample=sample,
                is_busy=name in busy,
            )
        )
    return sorted(cards, key=lambda card: card.made_at, reverse=True)


def _add_pack(given: str, content: IO[bytes]) -> str:
    library = studio_state().library
    with library.upload_dir() as folder:
        path = folder / f"model{PACK_ENDING}"
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
        title = base_name(given)
        try:
            bundle = Bundle.load(path)
        except LoreLMError as error:
            # Without the folders that a command takes, too.
            sentence = str(error).partition(": name such a file")[0]
            raise InputError(sentence.replace(str(path), title), code=error.code) from error
        with library.lock:
            name = library.free_name("models", title.removesuffix(PACK_ENDING))
            packing.unpack(bundle, library.root / "models" / name)
    return name


def _refuse_busy(state: StudioState, name: str) -> None:
    job = state.queue.find(name)
    if (job is not None and job.is_busy) or is_locked(state.library.root / "models" / name):
        raise InputError(f"a run works on {name}: pause it first", code="studio.running")
