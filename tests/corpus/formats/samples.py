"""Texts of our own, as people have them, and the small files that hold them."""

import io
import zipfile
from collections.abc import Mapping

CHAPTERS: dict[str, list[str]] = {
    "Chapter One": [
        "The mill stood empty for eleven winters, and the miller's daughter, who had gone to sea "
        "as a cook, came back on a Tuesday with a parrot, a limp, and a key that fitted nothing. "
        "She fled the flood; the officer found the affluent afloat, and filed it in a fjord.",
        "“Who waits?” she asked of the door. Nobody answered. The wheel, which had been turning "
        "the wrong way since the inundation, stopped all at once – as if it had heard – and then "
        "began again, slowly, with a sound like an old man clearing his throat.",
        "In the café by the bridge they said: it is only water. It had never been only water. A "
        "well-known carpenter from the low-lands had measured it once, naïvely, with a spoon.",
    ],
    "Chapter Two": [
        "By Thursday the parrot had learned the names of all the neighbours, and used them at "
        "night. The baker sold his shop. The schoolmaster, a man of some fifty-two years and no "
        "patience, wrote a letter to the county in which he called the bird a well-known nuisance.",
        "“It is my grandfather,” said the miller's daughter. “He always knew everybody's name.”",
        "The county sent an inspector with a cage & a form in three copies. He sat on the sluice "
        "for an hour, listening, < 5 minutes of which he wrote down. Then he went home without "
        "his hat, and the hat stayed on the post until spring, full of rain and later of wrens.",
    ],
}

SPEECHES = [
    ("ANNA", "You came back, then. The wheel said you would, and I did not believe it."),
    ("BEN", "I came for the key. It opens the cupboard behind the stair, or it did."),
    ("ANNA", "The cupboard burned. Everything behind the stair burned, Ben."),
    ("BEN", "Not the key."),
    ("CLARA", "He has a point. Keys do not burn. They wait, like aunts."),
    ("ANNA", "Give it here."),
    ("BEN", "When I have seen the wall. There may be another door in it."),
    ("CLARA", "There is always another door. My mother left by three of them."),
    ("ANNA", "Then we look together, and nobody opens anything alone."),
    ("BEN", "Agreed. Bring the lamp, and mind the parrot."),
]

TABLE = [
    ("speaker", "line"),
    *((name, speech) for name, speech in SPEECHES),
]


def paragraphs() -> list[str]:
    """The novel: headings and paragraphs."""
    return [text for title, texts in CHAPTERS.items() for text in (title, *texts)]


def words() -> list[str]:
    """All words of the novel."""
    return " ".join(paragraphs()).split()


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive with these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def docx(body: str) -> bytes:
    """A Word file with this content of ``<w:body>``."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "word/document.xml": f'<w:document xmlns:w="{space}"><w:body>{body}</w:body>'
            "</w:document>",
        }
    )


def docx_paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def odt(body: str, *, styles: str = "", more: Mapping[str, str] | None = None) -> bytes:
    """An OpenDocument text with this content of ``<office:text>``, and these automatic styles."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "style", "drawing", "table", "fo")
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {spaces}>"
            f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:text>{body}"
            "</office:text></office:body></office:document-content>",
            **(more or {}),
        }
    )


def epub(
    chapters: Mapping[str, str], *, package: str = "", more: Mapping[str, str] | None = None
) -> bytes:
    """A book whose pages have these bodies, in this order unless a package gives another one."""
    items = "".join(
        f'<item id="c{n}" href="text/{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    pages = {
        f"OEBPS/text/{name.replace('%20', ' ')}": '<?xml version="1.0" encoding="utf-8"?>'
        "<!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head>"
        f"<body>{body}</body></html>"
        for name, body in chapters.items()
    }
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/>'
            "</rootfiles></container>",
            "OEBPS/book.opf": package
            or f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
            **pages,
            **(more or {}),
        }
    )
