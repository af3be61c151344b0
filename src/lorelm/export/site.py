"""A bundle as a static web site: :func:`export_site`.

The folder runs the model in the visitor's browser. It needs no server but one that sends files, no
special headers, and no place: it works under any path. :data:`SITE` lists its files::

    index.html, de.html, fr.html        the page in each language
    *.js, products.wasm, *.css          what the page is made of
    icon.*, social-card.png             its icon, and what other sites show beside a link
    model-HASH.bin                      the weights and the words
    copies-HASH.bin                     fingerprints of the training text (may be left out)
    site.json                           the SHA-256 of each file; names the folder as ours
    LICENSE.txt                         of LoreLM
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lorelm.bundle import Bundle
from lorelm.bundle.atomic_dir import (
    check_output_path,
    check_replaceable,
    replace_dir,
    wrap_write_errors,
)
from lorelm.bundle.dir_lock import lock_dir
from lorelm.bundle.layout import COPIES, NGRAM
from lorelm.bundle.revealed import revealed
from lorelm.errors import InputError
from lorelm.export.model_files import copies_file, has_copies, model_file
from lorelm.export.page import SERVER_DIR, PageFiles, render_pages
from lorelm.translations import languages
from lorelm.version import VERSION

SITE: Final = "site.json"

_OWN_DIR: Final = Path(__file__).parent / "static"

_SHARED_DIR: Final = SERVER_DIR / "static"
"""Of the server's writing page, whose modules the site has but for the transport, api.js."""

_LOOK: Final = ("colors.css", "style.css", "icon.svg", "icon.png", "social-card.png")

_IMPORT: Final = re.compile(rb'from "\./(\w+\.js)"')

_HASH: Final = "[0-9a-f]" * 12

_DATA: Final = (f"model-{_HASH}.bin", f"copies-{_HASH}.bin")

_NAME: Final = re.compile(r"\w[\w.-]*\.(css|html|js|png|svg|txt|wasm)")
"""Of its other files; they are taken for patterns, so no other characters may be in them."""

_LARGE: Final = 5_000_000
"""Bytes of fingerprints from which on the user is told what they cost a visitor."""

_OPTION: Final = "--web"


@dataclass(frozen=True, kw_only=True)
class SiteOptions:
    """What a site has.

    Attributes:
        title: of the page; None: the name of what the model was trained on.
        mixture: mix the network with the n-gram model; None: as the manifest says.
        fingerprints: ship the index of the training text, by which copies are marked.
        address: URL of the folder on its host. Other sites show a picture beside a link only if
            they get its full address.
    """

    title: str | None = None
    mixture: bool | None = None
    fingerprints: bool = True
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExportedSite:
    """What was written.

    Attributes:
        sizes: of each file in bytes.
        reveals: what anyone who has the folder can learn of the training text.
        notes: what is not as in ``lorelm serve``.
    """

    path: Path
    sizes: Mapping[str, int]
    reveals: Sequence[str]
    notes: Sequence[str]


def export_site(bundle: Bundle, out: Path, options: SiteOptions) -> ExportedSite:
    """Write a site in place of an earlier one, all or nothing.

    Raises:
        BundleError: the folder holds other things or cannot be written; the bundle is damaged, or
            lacks the n-gram model.
        InputError: the address is not the URL of a folder.
    """
    out = out.absolute()
    check_output_path(out, option=_OPTION)
    with lock_dir(out):
        owned = [*_DATA, *_files_of(out)]
        check_replaceable(out, is_ours=_is_site, early=(), owned=owned, option=_OPTION)
        files = site_files(bundle, options)
        with wrap_write_errors(out, sum(map(len, files.values()))):
            replace_dir(out, files, owned=owned)
    sizes = {name: len(content) for name, content in files.items()}
    return ExportedSite(
        path=out,
        sizes=sizes,
        reveals=revealed(
            bundle,
            _given_away(bundle, options),
            ngram_hint=" (mixture, --no-mixture, leaves it out)",
        ),
        notes=_notes(bundle, sizes),
    )


def site_files(bundle: Bundle, options: SiteOptions) -> dict[str, bytes]:
    """Return the content of every file of a site; the same for the same bundle and options."""
    address = _folder_url(options.address)
    is_mixed = bundle.is_mixed(options.mixture)
    model = model_file(bundle, mixture=is_mixed)
    copies = copies_file(bundle) if options.fingerprints else None
    data = {_hashed_name("model", model): model}
    if copies is not None:
        data[_hashed_name("copies", copies)] = copies
    modules = _page_modules()
    page = PageFiles(
        modules=sorted(modules),
        model=_hashed_name("model", model),
        copies=None if copies is None else _hashed_name("copies", copies),
        num_bytes=len(model),
    )
    pages = render_pages(
        bundle, title=options.title, address=address, is_mixed=is_mixed, files=page
    )
    files = {name: html.encode() for name, html in pages.items()}
    files |= modules | {path.name: path.read_bytes() for path in _OWN_DIR.glob("*.js")}
    files |= {name: (_SHARED_DIR / name).read_bytes() for name in (*_LOOK, *_messages())}
    files["products.wasm"] = (_OWN_DIR / "products.wasm").read_bytes()
    files |= {"LICENSE.txt": _license(bundle)} | data
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    about = {"generator": f"lorelm {VERSION}", "model": bundle.fingerprint, "files": hashes}
    return files | {SITE: (json.dumps(about, indent=2) + "\n").encode()}


def _folder_url(address: str | None) -> str | None:
    """Return the address of a site with a slash at its end.

    Raises:
        InputError: it is not the address of a folder on the web.
    """
    if address is None:
        return None
    try:
        url = urlsplit(address)
        labels = (url.hostname or "").removesuffix(".").split(".")
        is_valid = url.scheme in ("http", "https") and all(labels) and url.port != 0
        is_valid = is_valid and "@" not in url.netloc  # a password would be public
    except ValueError:  # of a wrong port or IPv6 address
        is_valid = False
    if not is_valid or re.search(r"[?#\s\x00-\x1f\x7f]|\.html?/*$", address, re.IGNORECASE):
        raise InputError(
            f"address: {address!r} is not the address of a folder on the web; write it as in "
            "https://example.org/tales/, without a file, a query, a user or a password",
            code="export.address",
        )
    return address.rstrip("/") + "/"


def _messages() -> list[str]:
    """Return the names of the files with the translated texts of the scripts."""
    return [f"messages-{code}.js" for code in languages()[1:]]


def _page_modules() -> dict[str, bytes]:
    """Return the modules that the page loads at once; the others are the worker's."""
    modules: dict[str, bytes] = {}
    names = ["write.js"]
    while names:
        name = names.pop()
        if name not in modules:
            path = _OWN_DIR / name
            modules[name] = (path if path.exists() else _SHARED_DIR / name).read_bytes()
            names += [found.decode() for found in _IMPORT.findall(modules[name])]
    return modules


def _is_site(path: Path) -> bool:
    """Return whether an export wrote a folder."""
    return bool(_files_of(path))


def _files_of(path: Path) -> list[str]:
    """Return the names of the files that an export wrote into a folder; none if it is foreign.

    The list may claim files that are others': ours are as they were written.
    """
    try:
        about = json.loads((path / SITE).read_bytes())
    except (OSError, ValueError):
        return []
    if not isinstance(about, dict) or not str(about.get("generator")).startswith("lorelm "):
        return []
    files = about.get("files")
    listed = files.items() if isinstance(files, dict) else ()
    return [SITE, *(name for name, hash_ in listed if _is_unchanged(path / name, hash_))]


def _is_unchanged(path: Path, hash_: object) -> bool:
    if not _NAME.fullmatch(path.name) or path.is_symlink() or not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == hash_


def _hashed_name(kind: str, content: bytes) -> str:
    """Return a name that changes with the content, so that no cache can mix two versions."""
    return f"{kind}-{hashlib.sha256(content).hexdigest()[:12]}.bin"


def _license(bundle: Bundle) -> bytes:
    text = distribution("lorelm").read_text("licenses/LICENSE") or "MIT License\n"
    return (
        f"The page and its scripts are part of LoreLM {VERSION}, under this licence:\n\n{text}\n"
        f"It does not cover the model ({bundle.manifest.source}), whose rights are those of the "
        "people who wrote its training text and trained it.\n"
    ).encode()


def _given_away(bundle: Bundle, options: SiteOptions) -> set[str]:
    """Return the names of the files of a bundle whose contents are in a site."""
    left_out = set() if options.fingerprints else {COPIES}
    if not bundle.is_mixed(options.mixture):
        left_out.add(NGRAM)
    return set(bundle.manifest.files) - left_out


def _notes(bundle: Bundle, sizes: Mapping[str, int]) -> list[str]:
    notes = []
    if bundle.manifest.precision != "int8":
        notes.append(
            "The page runs the model in int8; lorelm serve runs it in float32 and may write other "
            "words. lorelm generate --precision int8 writes those of the page."
        )
    if not has_copies(bundle):
        notes.append("The model has no index of its training text, so copies are not marked.")
    copies = sum(size for name, size in sizes.items() if name.startswith("copies-"))
    if copies > _LARGE:
        notes.append(
            f"Every visitor loads {copies / 1e6:.0f} MB of fingerprints, after the model: "
            "--no-fingerprints leaves them out."
        )
    return notes
