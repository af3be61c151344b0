from lorelm.table import aligned


def test_columns_are_aligned_to_either_side() -> None:
    rows = [("name", "tokens", "state"), ("Ann", "5", "valid"), ("Bartholomew", "12,000", "")]
    assert aligned(rows, right=[1]) == [
        "name         tokens  state",
        "Ann               5  valid",
        "Bartholomew  12,000",
    ]


def test_a_character_takes_as_many_columns_as_a_terminal_gives_it() -> None:
    rows = [("指輪", "a"), ("ring", "b"), ("re\u0301sume\u0301", "c")]
    assert aligned(rows) == ["指輪    a", "ring    b", "re\u0301sume\u0301  c"]


def test_no_rows_are_no_lines() -> None:
    assert aligned([]) == []
