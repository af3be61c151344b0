import pytest

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.sources import read_sources

ANDROID = {
    "us": ("12/31/20, 11:58 PM - ", "1/1/21, 9:05 AM - "),
    "us narrow space": ("12/31/20, 11:58\u202fPM - ", "1/1/21, 9:05\u202fAM - "),
    "uk": ("31/12/2020, 23:58 - ", "01/01/2021, 09:05 - "),
    "germany": ("31.12.20, 23:58 - ", "01.01.21, 09:05 - "),
    "germany older": ("31.12.20, 23:58 Uhr - ", "01.01.21, 09:05 Uhr - "),
    "france": ("31/12/2020 à 23:58 - ", "01/01/2021 à 09:05 - "),
    "spain": ("31/12/20 23:58 - ", "1/1/21 9:05 - "),
    "mexico": ("31/12/20 11:58 p. m. - ", "01/01/21 9:05 a. m. - "),
    "netherlands": ("31-12-2020 23:58 - ", "01-01-2021 09:05 - "),
    "sweden": ("2020-12-31 23:58 - ", "2021-01-01 09:05 - "),
    "japan": ("2020/12/31 23:58 - ", "2021/01/01 9:05 - "),
    "china": ("2020/12/31 下午11:58 - ", "2021/1/1 上午9:05 - "),
    "korea": ("2020년 12월 31일 오후 11:58 - ", "2021년 1월 1일 오전 9:05 - "),
}
IOS = {
    "us": ("[12/31/20, 11:58:01 PM] ", "[1/1/21, 9:05:00 AM] "),
    "uk": ("[31/12/2020, 23:58:01] ", "[01/01/2021, 09:05:00] "),
    "germany": ("[31.12.20, 23:58:01] ", "[01.01.21, 09:05:00] "),
}


def scenes_of(path) -> list[list[str]]:
    (work,) = read_sources([str(path)], ReadingOptions()).works
    return [[str(turn) for turn in scene] for scene in work]


@pytest.mark.parametrize("beginnings", [*ANDROID.values(), *IOS.values()], ids=[*ANDROID, *IOS])
def test_dates_of_many_countries(write, beginnings: tuple[str, str]) -> None:
    evening, morning = beginnings
    text = (
        f"{evening}Anna: Happy new year: almost\nand more\n{evening}Ben: You too\n"
        f"{evening}Ben: Twice\n{morning}Anna: Awake?\n"
    )
    assert scenes_of(write("chat.txt", text)) == [
        ["Anna: Happy new year: almost\nand more", "Ben: You too\nTwice"],
        ["Anna: Awake?"],
    ]


def test_notices_and_media_are_left_out_and_counted(read) -> None:
    at = "31/12/2020, 23:58 - "
    documents = read(
        "WhatsApp Chat with Ben.txt",
        f"{at}Messages and calls are end-to-end encrypted. Tap to learn more.\n"
        f"{at}Anna created group “Mill”\n"
        f"{at}Anna: <Media omitted>\n{at}Ben: <Medien ausgeschlossen>\n"
        f"{at}Ben: IMG-20201231-WA0001.jpg (file attached)\n"
        f"{at}Ben: IMG-20201231-WA0002.jpg (file attached)\nLook at this wheel\n"
        f"{at}Anna: This message was deleted\n"
        f"{at}Anna: Nice one <This message was edited>\n",
    )
    assert documents.kind == "chat"
    assert "\n".join(documents.texts) == "Ben: Look at this wheel\nAnna: Nice one"
    assert "6 messages without words of a person are left out." in documents.notes


def test_notices_of_ios_begin_with_a_mark(write) -> None:
    text = (
        "\u200e[31.12.20, 23:58:01] Mill: \u200eMessages and calls are end-to-end encrypted.\n"
        "[31.12.20, 23:58:02] \u202a+49 170 1234567\u202c: Hello there\n"
        "\u200e[31.12.20, 23:58:03] Ben: \u200eimage omitted\n"
        "[31.12.20, 23:58:04] Ben: Hello \u2068@Anna\u2069\n"
    )
    assert scenes_of(write("_chat.txt", text)) == [
        ["+49 170 1234567: Hello there", "Ben: Hello @Anna"]
    ]


def test_the_order_of_the_messages_says_which_number_is_the_month(write) -> None:
    text = "".join(f"{month}/1/21, 10:00 - Anna: month {month}\n" for month in range(1, 6))
    assert len(scenes_of(write("a.txt", text))) == 5
    days = "".join(f"{day}/1/21, 23:00 - Anna: day {day}\n" for day in range(1, 6))
    assert len(scenes_of(write("b.txt", days))) == 5


def test_a_diary_with_dates_is_no_chat(read) -> None:
    text = "".join(f"{day}.12.2020, 21:00 - It rained all day again\n\n" for day in range(1, 9))
    assert read("diary.txt", text).kind != "chat"
