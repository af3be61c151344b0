import csv
import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.corpus.special_tokens import EOS, NEWLINE, OTHER_SPEAKER, SOMEONE, UNK
from lorelm.corpus.tokenizer import (
    TOKENIZER_STYLES,
    BasicEnglishTokenizer,
    ClassicTokenizer,
    SubwordTokenizer,
    WordsTokenizer,
    make_tokenizer,
)
from lorelm.errors import CorpusError

WORDS = WordsTokenizer()
CLASSIC = ClassicTokenizer()
ENGLISH = BasicEnglishTokenizer()
M = WordsTokenizer.MARK
PIECES = ["un", "like", f"{M}like", f"{M}ly", f"{M}l", "l", "a", f"{M}a", "do", f"{M}n't"]
SUBWORD = SubwordTokenizer(pieces=PIECES)

FRAGMENTS = [
    *("a", "Ab", "don", "1", "42", "é", "e\u0301", "\u0301", "नमस्ते", "हिन्दी", "שָׁלוֹם", "İ", "ß"),
    *(" ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u2028", "\x1c", "\u200b", "\u200d"),
    *("'", "’", '"', "“", "”", "-", "--", "—", "…", "...", "!", "?!", ",", "(", ")", "_", "<", ">"),
    *("<unk>", "<eos>", "unk>", "<<unk>", M, M + M, "■", "🧙", "❤️", "👩‍🚀", "\0"),
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join))


@given(texts)
@example("'tis well-known")
@example("a<unk>b")
@example("a\n\n b\r\n- c")
def test_detokenizing_undoes_tokenizing(text):
    for tokenizer in (WORDS, SUBWORD):
        assert tokenizer.detokenize(tokenizer.tokenize(text)) == tokenizer.normalize(text)


@given(texts)
def test_a_normalized_text_has_the_same_tokens(text):
    assert WORDS.tokenize(WORDS.normalize(text)) == WORDS.tokenize(text)


@given(texts)
def test_normalizing_changes_white_space_and_the_mark_only(text):
    normalized = WORDS.normalize(text)
    assert "".join(normalized.split()) == "".join(text.replace(M, "■").split())
    assert normalized == normalized.strip()
    assert all(space in (" ", "\n") for space in re.findall(r"\s+", normalized))


@given(texts)
def test_every_token_is_one_word_one_punctuation_run_or_a_line_break(text):
    for token in WORDS.tokenize(text):
        bare = token.replace(M, "")
        if token in (NEWLINE, UNK, M):
            continue
        assert bare
        assert not any(map(str.isspace, bare))
        assert any(map(str.isalnum, bare)) <= (token == bare)
        if not re.search(r"\w|[\u0300-\u0dff\u0e00-\u0eff\u200c\u200d]", bare):
            assert len(set(bare)) == 1


@given(texts)
def test_no_text_yields_the_token_that_ends_documents(text):
    assert EOS not in WORDS.tokenize(f"{text}{EOS}{text} {EOS}")
    assert EOS not in CLASSIC.tokenize(f"{text}{EOS}{text} {EOS}")


@pytest.mark.parametrize("tokenizer", [WORDS, SUBWORD, CLASSIC], ids=lambda t: t.style)
@given(text=texts)
def test_a_text_grows_by_appending_pieces(tokenizer, text):
    tokens = tokenizer.tokenize(text)
    shown, previous = "", None
    for token in tokens:
        shown += tokenizer.piece(token, previous)
        previous = token
        assert tokenizer.detokenize(tokens).startswith(shown)
    assert shown == tokenizer.detokenize(tokens)


@pytest.mark.parametrize("tokenizer", [WORDS, SUBWORD, CLASSIC], ids=lambda t: t.style)
@given(text=texts, data=st.data())
def test_a_continuation_takes_its_spacing_from_the_token_before_it(tokenizer, text, data):
    tokens = tokenizer.tokenize(text)
    cut = data.draw(st.integers(0, len(tokens)))
    start, rest = tokens[:cut], tokens[cut:]
    previous = start[-1] if start else None
    continued = tokenizer.detokenize(start) + tokenizer.detokenize(rest, previous)
    assert continued == tokenizer.detokenize(tokens)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \n ", []),
        ("Speak, speak.", ["Speak", "￭,", "speak", "￭."]),
        ("'tis well-known", ["'￭", "tis", "well", "￭-￭", "known"]),
        ('(he said) "no"', ["(￭", "he", "said", "￭)", '"￭', "no", '￭"']),
        ("don't rock’n’roll", ["don't", "rock’n’roll"]),
        ("the hobbits' feet", ["the", "hobbits", "￭'", "feet"]),
        ("Wait... what?! No!!", ["Wait", "￭...", "what", "￭?", "￭!", "No", "￭!!"]),
        ("“Fly, you fools!”", ["“￭", "Fly", "￭,", "you", "fools", "￭!", "￭”"]),
        ("gold—lost… all", ["gold", "￭—￭", "lost", "￭…", "all"]),
        ("gold -- lost", ["gold", "--", "lost"]),
        ("Three Rings,\n\nSeven", ["Three", "Rings", "￭,", "\n", "Seven"]),
        ("one\r\ntwo\rthree", ["one", "\n", "two", "\n", "three"]),
        ("end \n - start", ["end", "\n", "-", "start"]),
        ("no\u00a0 break", ["no", "break"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "￭।"]),
        ("cafe\u0301 café", ["cafe\u0301", "café"]),
        ("hi🧙🧙!", ["hi", "￭🧙🧙", "￭!"]),
        ("snake_case", ["snake", "￭_￭", "case"]),
        ("3.14", ["3", "￭.￭", "14"]),
        ("the <unk> of", ["the", "<unk>", "of"]),
        ("the <unk>, <unk>'s", ["the", "<unk>", "￭,", "<unk>", "￭'￭", "s"]),
        ("pre<unk>post", ["pre", "￭", "<unk>", "￭", "post"]),
        ("<unk><unk>", ["<unk>", "￭", "<unk>"]),
        ("<eos>", ["<￭", "eos", "￭>"]),
        ("a ￭ b", ["a", "■", "b"]),
        ("a￭b", ["a", "￭■￭", "b"]),
    ],
)
def test_words_are_cut_as_worked_by_hand(text, tokens):
    assert WORDS.tokenize(text) == tokens


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("  a \t b  ", "a b"),
        ("a \n\n b", "a\nb"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\n\na\n", "a"),
        ("a￭b", "a■b"),
        ("a\u00a0b", "a b"),
    ],
)
def test_white_space_survives_in_its_shortest_form(text, normalized):
    assert WORDS.normalize(text) == normalized


def test_tokens_out_of_any_order_still_make_a_text():
    assert WORDS.detokenize(["￭,", "a", "(￭", "\n", "￭.", "b", "￭-￭", "￭"]) == ", a (\n. b-"


@given(texts)
@example("ISN'T it 1984?")
@example("Kelvin \u212a, dotted İ")
def test_classic_agrees_with_its_definition(text):
    spaced = re.sub(r"[^a-z0-9']+", " ", text.lower())
    assert CLASSIC.tokenize(text) == [word for word in spaced.split(" ") if word]


@given(texts)
def test_classic_text_is_its_words_with_single_spaces(text):
    tokens = CLASSIC.tokenize(text)
    assert CLASSIC.detokenize(tokens) == " ".join(tokens)
    assert CLASSIC.tokenize(CLASSIC.detokenize(tokens)) == tokens


def test_classic_loses_case_and_punctuation():
    assert CLASSIC.tokenize("You shall NOT pass... 'tis\nnaïve!") == [
        *("you", "shall", "not", "pass", "'tis", "na", "ve")
    ]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # The example of torchtext's documentation (torchtext.data.utils.get_tokenizer).
        (
            "You can now install TorchText using pip!",
            ["you", "can", "now", "install", "torchtext", "using", "pip", "!"],
        ),
        # The rules of its documentation, one by one: lower case; spaces around ' . , ( ) ! ?; no
        # double quotes; a space for <br />, semicolons, colons and runs of white space.
        ("ABC Äß", ["abc", "äß"]),
        ("don't 'tis", ["don", "'", "t", "'", "tis"]),
        ('"a"b "c"', ["ab", "c"]),
        ("a.b...", ["a", ".", "b", ".", ".", "."]),
        ("a<br />b<br/>", ["a", "b<br/>"]),
        ("a,b(c)d!e?f", ["a", ",", "b", "(", "c", ")", "d", "!", "e", "?", "f"]),
        ("a;b:c", ["a", "b", "c"]),
        (" a \t\n\u00a0b\u2028", ["a", "b"]),
        ("a-b_c/d 1,000 <unk>", ["a-b_c/d", "1", ",", "000", "<unk>"]),
        ("", []),
        # The line of torchtext's own test of it.
        (
            "'\".<br />,()!?;:   Basic English Normalization for a Line of Text   "
            "'\".<br />,()!?;:",
            [
                *("'", ".", ",", "(", ")", "!", "?", "basic", "english", "normalization"),
                *("for", "a", "line", "of", "text", "'", ".", ",", "(", ")", "!", "?"),
            ],
        ),
    ],
)
def test_basic_english_cuts_as_torchtext_does(text, tokens):
    assert ENGLISH.tokenize(text) == tokens


_TORCHTEXTS = [
    *((r"\'", " '  "), (r"\"", ""), (r"\.", " . "), (r"<br \/>", " "), (r",", " , ")),
    *((r"\(", " ( "), (r"\)", " ) "), (r"\!", " ! "), (r"\?", " ? "), (r"\;", " "), (r"\:", " ")),
    (r"\s+", " "),
]


def torchtexts_basic_english(line: str) -> list[str]:
    """The function of torchtext 0.18 with its regular expressions."""
    line = line.lower()
    for pattern, replacement in _TORCHTEXTS:
        line = re.sub(pattern, replacement, line)
    return line.split()


@given(
    st.one_of(texts, st.lists(st.sampled_from([*FRAGMENTS, "<br />", ";", ":", "."])).map("".join))
)
@example('<br />a<b"r />b')
def test_basic_english_is_torchtexts_function(text):
    assert ENGLISH.tokenize(text) == torchtexts_basic_english(text)


@given(texts.filter(lambda text: "<br" not in text.replace('"', "").lower()))
@example("they're (said he), don't ' and 's ''")
def test_a_text_of_basic_english_has_its_tokens_again(text):
    tokens = ENGLISH.tokenize(text)
    assert ENGLISH.tokenize(ENGLISH.detokenize(tokens)) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "they're late, it's cold (so he said), don't go! why?",
        "frodo's ring... lost.",
        "we'll go and i'd stay",
    ],
)
def test_basic_english_reads_as_people_write(text):
    assert ENGLISH.detokenize(ENGLISH.tokenize(text)) == text


def test_a_quotation_in_basic_english_has_its_spaces():
    assert ENGLISH.detokenize(ENGLISH.tokenize("he said, 'go on'")) == "he said, ' go on'"


@pytest.mark.parametrize("style", TOKENIZER_STYLES)
def test_a_tokenizer_is_made_by_its_style(style):
    assert make_tokenizer(style).style == style


def test_an_unknown_style_is_refused_with_the_known_ones():
    with raises_code(CorpusError, "corpus.unknown_tokenizer"):
        make_tokenizer("bpe")


def film_lines(corpus_file) -> list[str]:
    with corpus_file("lotr_scripts.csv").open(encoding="utf-8", newline="") as file:
        return [row["dialog"] for row in csv.DictReader(file)]


def test_every_film_line_survives_tokenizing(corpus_file):
    lines = film_lines(corpus_file)
    assert len(lines) == 2390
    changed = [t for t in lines if WORDS.detokenize(WORDS.tokenize(t)) != WORDS.normalize(t)]
    assert changed == []


def test_every_paragraph_of_tiny_shakespeare_survives_tokenizing(corpus_file):
    text = corpus_file("tinyshakespeare.txt").read_text(encoding="utf-8")
    paragraphs = text.strip().split("\n\n")
    assert len(paragraphs) > 7000
    changed = [p for p in paragraphs if WORDS.detokenize(WORDS.tokenize(p)) != WORDS.normalize(p)]
    assert changed == []


def test_classic_counts_of_the_film_dialogue_are_the_published_ones(corpus_file):
    counts = Counter(word for line in film_lines(corpus_file) for word in CLASSIC.tokenize(line))
    assert counts.total() == 25_242
    assert len(counts) == 3_448
    assert sum(count >= 3 for count in counts.values()) == 1_076


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("ROMEO:\n", ["ROMEO", "￭:", "\n"]),
        ("ROMEO: \r\n ", ["ROMEO", "￭:", "\n"]),
        ("ROMEO: ", ["ROMEO", "￭:"]),
        ("\n", []),
        ("", []),
    ],
)
def test_a_line_break_at_the_end_of_a_prompt_counts(text, tokens):
    assert make_tokenizer("words").tokenize_prompt(text) == tokens


def test_the_classic_tokenizer_knows_no_line_breaks():
    assert make_tokenizer("classic").tokenize_prompt("romeo\n") == ["romeo"]


CAST = ("FRODO", "Old Gaffer", "the voice")
SPEAKING = [make_tokenizer(style, CAST) for style in TOKENIZER_STYLES]


def test_a_cue_is_one_token_of_its_own_kind():
    words = make_tokenizer("words", CAST)
    tokens = words.tokenize("FRODO: I will, Old Gaffer: no.\n  the voice:  Come.\nBILL: FRODO!")
    assert tokens == [
        *("<speaker FRODO>", "I", "will", M + ",", "Old", "Gaffer", M + ":", "no", M + "."),
        *("\n", "<speaker the voice>", "Come", M + ".", "\n", "<speaker BILL>", "FRODO", M + "!"),
    ]
    assert words.detokenize(tokens) == (
        "FRODO: I will, Old Gaffer: no.\nthe voice: Come.\nBILL: FRODO!"
    )


def test_cues_are_found_with_their_colons():
    text = "Before\nFRODO: I will, Old Gaffer: no.\n  the voice:\nBill: FRODO!"
    for tokenizer in SPEAKING:
        found = [text[begin:end] for begin, end in tokenizer.find_cues(text)]
        assert found == ["FRODO:", "the voice:", "Bill:"]
    assert make_tokenizer("words").find_cues(text) == []


def test_a_text_cannot_spell_the_token_of_a_speaker():
    for tokenizer in SPEAKING:
        assert "<speaker FRODO>" not in tokenizer.tokenize(
            "He said <speaker FRODO> and <speaker X>"
        )


def test_without_speakers_a_cue_is_words():
    assert WORDS.tokenize("FRODO: no") == ["FRODO", M + ":", "no"]


@pytest.mark.parametrize(
    "text", ["frodo: no", "FRODO:no", "He: who was it that he saw there", ": no"]
)
def test_what_is_no_cue_is_words(text):
    tokens = make_tokenizer("words", CAST).tokenize(text.replace("He:", "he:"))
    assert not any(token.startswith("<speaker") for token in tokens)


def test_the_other_speaker_is_read_back():
    words = make_tokenizer("words", CAST)
    tokens = words.tokenize(f"{SOMEONE}: Good night.")
    assert tokens[0] == OTHER_SPEAKER
    assert words.detokenize(tokens) == f"{SOMEONE}: Good night."


@given(st.lists(st.tuples(st.sampled_from([*CAST, "BILL", SOMEONE, ""]), texts), max_size=5))
def test_detokenizing_undoes_tokenizing_of_scenes(turns):
    words = make_tokenizer("words", CAST)
    text = "\n".join(f"{name}: {speech}" if name else speech for name, speech in turns)
    tokens = words.tokenize(text)
    assert words.detokenize(tokens) == words.normalize(text)
    assert words.tokenize(words.normalize(text)) == tokens
    assert [t for chunk in words.chunks(text) for t in words.tokenize(chunk)] == tokens


def test_a_line_goes_on_after_its_cue():
    for tokenizer in SPEAKING:
        assert tokenizer.piece("i", "<speaker FRODO>") == " i"
        assert tokenizer.piece("<speaker FRODO>", "i") == "\nFRODO:"
        assert tokenizer.piece("<speaker FRODO>", None) == "FRODO:"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("unlikely", ["un", f"{M}like", f"{M}ly"]),
        ("like, don't!", ["like", f"{M},", "do", f"{M}n't", f"{M}!"]),
        ("la", ["l", f"{M}a"]),
        ("unzlike", ["un", f"{M}z", f"{M}like"]),  # an unknown letter
        ("a <unk>", ["a", UNK]),
        ("a\na", ["a", NEWLINE, "a"]),
    ],
)
def test_a_word_is_cut_in_the_longest_pieces_that_are_known(text, tokens):
    assert SUBWORD.tokenize(text) == tokens


def test_the_pieces_stay_when_speakers_are_told():
    tokenizer = SUBWORD.with_speakers(["FOX"])
    assert tokenizer.tokenize("FOX: unlikely") == ["<speaker FOX>", "un", f"{M}like", f"{M}ly"]
    words = make_tokenizer("subword", ["FOX"], words=PIECES)
    assert words.tokenize("FOX: unlikely") == tokenizer.tokenize("FOX: unlikely")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Straßenbahn fährt.", ["Straßenbahn", "fährt", f"{M}."]),
        ("l'été, aujourd’hui", ["l'été", f"{M},", "aujourd’hui"]),
        ("¿Qué tal?", [f"¿{M}", "Qué", "tal", f"{M}?"]),
        ("Всё ещё здесь", ["Всё", "ещё", "здесь"]),
        ("Καλημέρα σας·", ["Καλημέρα", "σας", f"{M}·"]),
        ("İstanbul'da ışık", ["İstanbul'da", "ışık"]),
        ("हिन्दी में लिखो।", ["हिन्दी", "में", "लिखो", f"{M}।"]),
        ("ภาษาไทย ดีมาก", ["ภาษาไทย", "ดีมาก"]),
        ("我爱你。", ["我爱你", f"{M}。"]),
    ],
)
def test_words_of_many_languages_stay_whole(text, tokens):
    assert WORDS.tokenize(text) == tokens
    assert WORDS.detokenize(tokens) == text
