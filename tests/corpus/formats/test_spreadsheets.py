from tests.corpus.formats.samples import zipped
from tests.errors import raises_code

from lorelm.errors import CorpusError

SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def xlsx(*sheets: list[list[str | float]]) -> bytes:
    """A workbook with texts in its cells, by hand."""
    names = [f"Sheet{n}" for n in range(1, len(sheets) + 1)]

    def row(number: int, cells: list[str | float]) -> str:
        written = "".join(
            f'<c r="{chr(65 + n)}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
            if isinstance(cell, str)
            else f'<c r="{chr(65 + n)}{number}"><v>{cell}</v></c>'
            for n, cell in enumerate(cells)
        )
        return f'<row r="{number}">{written}</row>'

    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(names, start=1)
    )
    relations = "".join(
        f'<Relationship Id="r{n}" Type="{RELATIONS}/worksheet" Target="worksheets/{name}.xml"/>'
        for n, name in enumerate(names, start=1)
    )
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
            f'relationships"><Relationship Id="r1" Type="{RELATIONS}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{SPACE}" xmlns:r="{RELATIONS}"><sheets>{listed}'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/'
            f'package/2006/relationships">{relations}</Relationships>',
            **{
                f"xl/worksheets/{name}.xml": f'<worksheet xmlns="{SPACE}"><sheetData>'
                + "".join(row(n, cells) for n, cells in enumerate(rows, start=1))
                + "</sheetData></worksheet>"
                for name, rows in zip(names, sheets, strict=True)
            },
        }
    )


def test_the_first_sheet_is_a_table(read) -> None:
    rows = [["n", "line"], [1.0, "A line of words"], [2.5, "Another line of words"]]
    documents = read("a.xlsx", xlsx(rows, [["other"]]))
    assert documents.texts == ["A line of words", "Another line of words"]
    assert "Of the 2 sheets of a.xlsx, the first, 'Sheet1', is read." in documents.notes
    assert read("b.xlsx", xlsx(rows), text_column="n").texts == ["1", "2.5"]


def test_a_sheet_without_header(read) -> None:
    documents = read("a.xlsx", xlsx([[1.0, "A line of words."], [2.0, "One more line."]]))
    assert documents.texts == ["A line of words.", "One more line."]


def test_an_empty_sheet_is_refused(read) -> None:
    with raises_code(CorpusError, "corpus.empty"):
        read("a.xlsx", xlsx([]))


def test_a_damaged_workbook_is_refused(refusal, write) -> None:
    content = zipped({"xl/workbook.xml": "<workbook><sheets><sheet"})
    assert "is damaged" in refusal(write("a.xlsx", content))
