"""The limits of CONTRIBUTING.md that ruff does not know: lines of a function and of a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src/lorelm", "base", "docs/reference", "docs/site", "examples", "translations")
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 350


def function_lines(source: str) -> Iterator[tuple[str, int]]:
    """The name of each function and its lines, without decorators and docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            num_lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                assert docstring.end_lineno is not None
                num_lines -= docstring.end_lineno - docstring.lineno + 1
            yield node.name, num_lines


def source_files() -> list[Path]:
    return [
        path
        for folder in FOLDERS
        for suffix in ("py", "js")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
    ]


def test_lines_are_counted_without_decorators_and_docstring() -> None:
    source = '@decorated\ndef f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    return x\n'
    assert list(function_lines(source)) == [("f", 4)]


def test_no_function_is_too_long() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}: {name} has {num_lines} lines"
        for path in source_files()
        if path.suffix == ".py"
        for name, num_lines in function_lines(path.read_text(encoding="utf-8"))
        if num_lines > MAX_FUNCTION_LINES
    ]
    assert not too_long


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    assert not {path: length for path, length in lengths.items() if length > MAX_FILE_LINES}
