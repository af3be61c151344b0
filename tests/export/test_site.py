import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm import export
from lorelm.bundle import Bundle
from lorelm.errors import BundleError, InputError
from lorelm.export.page import SERVER_DIR
from lorelm.export.site import SITE, SiteOptions, export_site, site_files

OPTIONS = SiteOptions()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_holds_all_that_the_page_asks_for(tiny_bundle: Path, tmp_path: Path) -> None:
    site = export_site(Bundle.load(tiny_bundle), tmp_path / "site", OPTIONS)
    files = {path.name: path.read_bytes() for path in site.path.iterdir()}
    assert {name: len(content) for name, content in files.items()} == site.sizes
    html = files["index.html"].decode()
    wanted = set(re.findall(r'(?:href|src)="([^"#?]+)', html))
    for name in [name for name in files if name.endswith(".js")]:
        source = files[name].decode()
        wanted |= set(re.findall(r'from "\./([^"]+)"', source))
        wanted |= set(re.findall(r'new URL\("([^".]+\.\w+)"', source))
    assert wanted <= files.keys()
    data = json.loads(re.findall(r'id="page-data">(.*?)</script>', html)[0])
    assert {data["site"]["model"], data["site"]["copies"]} <= files.keys()
    assert data["site"]["num_bytes"] == len(files[data["site"]["model"]])


def test_the_site_has_two_modules_in_place_of_the_server_s() -> None:
    """Two of one name would take each other's place."""
    folders = [SERVER_DIR / "static", Path(export.__file__).parent / "static"]
    own, shared = ({path.name for path in folder.glob("*.js")} for folder in folders)
    assert own & shared == {"api.js", "drafts.js"}


def test_other_scripts_in_the_folder_stay(tiny_bundle: Path, tmp_path: Path) -> None:
    """Even where the list of files of an earlier export claims them all."""
    site = export_site(Bundle.load(tiny_bundle), tmp_path / "site", OPTIONS).path
    (site / "statistics.js").write_text("mine")
    about = json.loads((site / SITE).read_text())
    about["files"]["*"] = about["files"]["../x"] = ""
    (site / SITE).write_text(json.dumps(about))
    export_site(Bundle.load(tiny_bundle), site, OPTIONS)
    assert (site / "statistics.js").read_text() == "mine"


def test_what_a_list_of_files_only_claims_stays(tiny_bundle: Path, tmp_path: Path) -> None:
    """It may come from anyone, with the site; an old file of ours has the hash that it lists."""
    site = export_site(Bundle.load(tiny_bundle), tmp_path / "site", OPTIONS).path
    theirs = {".git/HEAD": "ref", "CNAME": "example.org", "mine.js": "mine", "model-1.bin": "mine"}
    for name, content in theirs.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(content)
    (site / "model-0123456789ab.bin").mkdir()
    (site / "old.js").write_text("of an earlier version")
    about = json.loads((site / SITE).read_text())
    hashes = {
        name: hashlib.sha256(content.encode()).hexdigest() for name, content in theirs.items()
    }
    old = hashlib.sha256(b"of an earlier version").hexdigest()
    about["files"] |= {".git": "", **hashes, "mine.js": "0" * 64, "old.js": old}
    (site / SITE).write_text(json.dumps(about))
    export_site(Bundle.load(tiny_bundle), site, OPTIONS)
    assert {name: (site / name).read_text() for name in theirs} == theirs
    assert (site / "model-0123456789ab.bin").is_dir()
    assert not (site / "old.js").exists()
    assert names_in(tmp_path) == ["site"]


def test_addresses_are_relative_and_of_this_folder(tiny_bundle: Path) -> None:
    """So the site works under any path, and asks nobody else for anything."""
    files = site_files(Bundle.load(tiny_bundle), OPTIONS)
    html = files["index.html"].decode()
    for address in re.findall(r'(?:href|src|action)="([^"]+)"', html):
        assert not address.startswith(("/", "..", "http"))
    for name, content in files.items():
        if name.endswith((".js", ".css")):
            code = re.sub(r"(?m)^\s*(//|\*|/\*).*$", "", content.decode())
            # The names of Word's XML look like addresses.
            named = set(re.findall(r"://([\w.]*)", code))
            assert named <= {"schemas.openxmlformats.org", "purl.org", "www.w3.org"}, name


def test_the_same_model_gives_the_same_files(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    assert site_files(bundle, OPTIONS) == site_files(bundle, OPTIONS)
    about = json.loads(site_files(bundle, OPTIONS)[SITE])
    assert about["model"] == bundle.fingerprint
    for name, content in site_files(bundle, OPTIONS).items():
        if name != SITE:
            assert about["files"][name] == hashlib.sha256(content).hexdigest()


def test_an_earlier_export_is_replaced_and_other_files_stay(
    tiny_bundle: Path, scene_bundle: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    export_site(Bundle.load(scene_bundle), site, OPTIONS)
    before = names_in(site)
    (site / "CNAME").write_text("example.org")
    (site / ".git").mkdir()
    (site / ".git" / "HEAD").write_text("ref")
    export_site(Bundle.load(tiny_bundle), site, OPTIONS)
    old_data = {name for name in before if name.endswith(".bin")}
    assert not old_data & set(names_in(site))
    assert (site / "CNAME").read_text() == "example.org"
    assert (site / ".git" / "HEAD").read_text() == "ref"
    assert len([name for name in names_in(site) if name.endswith(".bin")]) == 2
    assert names_in(tmp_path) == ["site"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"generator": "hugo"}', '{"files": {}}'])
def test_a_foreign_folder_is_refused(
    content: str | None, tiny_bundle: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("my home page")
    if content is not None:
        (site / SITE).write_text(content)
    names = names_in(site)
    with pytest.raises(BundleError) as caught:
        export_site(Bundle.load(tiny_bundle), site, OPTIONS)
    assert caught.value.code == "bundle.foreign_dir"
    assert "--web" in str(caught.value)
    assert "--out" not in str(caught.value)
    assert names_in(site) == names
    assert (site / "index.html").read_text() == "my home page"
    assert names_in(tmp_path) == ["site"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path.write_text("a file"), "bundle.path_is_file"),
        (lambda path: path.symlink_to(path.parent), "bundle.fixed_path"),
    ],
)
def test_a_path_that_cannot_be_replaced_is_refused(
    make: Callable[[Path], object], code: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    make(tmp_path / "site")
    with pytest.raises(BundleError) as caught:
        export_site(Bundle.load(tiny_bundle), tmp_path / "site", OPTIONS)
    assert caught.value.code == code
    assert "--out" not in str(caught.value)


def test_the_folder_of_the_model_itself_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_bundle, tmp_path / "model"))
    names = names_in(model)
    with pytest.raises(BundleError) as caught:
        export_site(Bundle.load(model), model, OPTIONS)
    assert caught.value.code == "bundle.foreign_dir"
    assert names_in(model) == names


def test_a_title_is_a_text(tiny_bundle: Path) -> None:
    title = "</title><script>alert(1)</script> & \"quoted\" 'too'"
    files = site_files(Bundle.load(tiny_bundle), SiteOptions(title=title))
    html = files["index.html"].decode()
    assert "<script>alert" not in html
    assert html.count("<script") == 3
    assert "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quoted&#34;" in html


def previews(files: dict[str, bytes], page: str = "index.html") -> dict[str, str]:
    """Return what other sites are told of a page."""
    html = files[page].decode()
    return dict(re.findall(r'<meta \w+="((?:og|twitter):\S+)" content="(.*)">', html))


@pytest.mark.parametrize("address", ["https://example.org/tales", "https://example.org/tales/"])
def test_the_picture_of_a_preview_has_a_full_address(tiny_bundle: Path, address: str) -> None:
    files = site_files(Bundle.load(tiny_bundle), SiteOptions(address=address))
    for page in ("index.html", "de.html"):
        preview = previews(files, page)
        assert preview["og:image"] == "https://example.org/tales/social-card.png"
        assert preview["twitter:card"] == "summary_large_image"


def test_a_site_that_may_be_anywhere_has_a_preview_without_picture(tiny_bundle: Path) -> None:
    preview = previews(site_files(Bundle.load(tiny_bundle), OPTIONS))
    assert not [name for name in preview if name.startswith("og:image")]
    assert preview["twitter:card"] == "summary"
    assert preview["og:title"]


@pytest.mark.parametrize(
    "address",
    [
        *("example.org", "/tales/", "ftp://example.org/", "https://", "https://[::1/", ""),
        *("https://a.b:99999/", "https://a.b/?x=1", "https://a.b/x y/", "https://a.b/index.html"),
        *("https://a.b/?", "https://a.b/#", "https://user:password@a.b/", "https://user@a.b/"),
        *("https://a.b/index.html/", "https://a.b/Index.HTML", "https://a.b/INDEX.HTM//"),
        *("https://a.b/\x00", "https://a.b/\x7f/", "https://..", "https://a..b/"),
    ],
)
def test_an_address_of_no_folder_is_refused(
    tiny_bundle: Path, tmp_path: Path, address: str
) -> None:
    with raises_code(InputError, "export.address"):
        export_site(Bundle.load(tiny_bundle), tmp_path / "site", SiteOptions(address=address))
    assert not (tmp_path / "site").exists()


def test_what_a_page_may_do_is_limited(tiny_bundle: Path) -> None:
    html = site_files(Bundle.load(tiny_bundle), OPTIONS)["index.html"].decode()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert html.index("Content-Security-Policy") < html.index("<link")
    assert not re.search(r"<script(?![^>]*(src=|application/json))", html)
    assert not re.search(r'\s(style|on\w+)="', html)


def test_fingerprints_and_counts_can_be_left_out(beaten_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(beaten_bundle)
    assert bundle.is_mixed(None)
    with_all = export_site(bundle, tmp_path / "all", OPTIONS)
    assert [each for each in with_all.reveals if "fingerprints" in each]
    assert [each for each in with_all.reveals if "put together" in each]
    bare = SiteOptions(fingerprints=False, mixture=False)
    without = export_site(bundle, tmp_path / "bare", bare)
    assert not [name for name in without.sizes if name.startswith("copies-")]
    assert not [each for each in without.reveals if "fingerprint" in each or "together" in each]
    html = (without.path / "index.html").read_text()
    assert "copied from the training text" not in html
    assert "Nothing copied" not in html
    [model] = [size for name, size in without.sizes.items() if name.startswith("model-")]
    [mixed] = [size for name, size in with_all.sizes.items() if name.startswith("model-")]
    assert model < mixed


def test_a_mixture_without_an_ngram_model_is_refused(older_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        export_site(Bundle.load(older_bundle), tmp_path / "site", SiteOptions(mixture=True))
    assert caught.value.code == "bundle.no_ngram"
    assert not (tmp_path / "site").exists()


def test_it_says_what_is_not_as_served(
    imported_bundle: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    imported = export_site(Bundle.load(imported_bundle), tmp_path / "imported", OPTIONS)
    assert [note for note in imported.notes if "int8" in note]
    assert [note for note in imported.notes if "copies are not marked" in note]
    assert "imported, not measured" in (imported.path / "index.html").read_text()
    assert export_site(Bundle.load(tiny_bundle), tmp_path / "tiny", OPTIONS).notes == []


def test_the_licence_is_in_the_folder(tiny_bundle: Path) -> None:
    text = site_files(Bundle.load(tiny_bundle), OPTIONS)["LICENSE.txt"].decode()
    assert "MIT License" in text
    assert "Permission is hereby granted" in text
    assert "tales.txt" in text


def test_no_path_of_this_computer_is_in_the_files(tiny_bundle: Path) -> None:
    import gzip

    for name, content in site_files(Bundle.load(tiny_bundle), OPTIONS).items():
        plain = gzip.decompress(content) if name.endswith(".bin") else content
        assert str(tiny_bundle.parent).encode() not in plain
