import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

import lorelm
from lorelm.bundle import Bundle

pytestmark = pytest.mark.system


def tokenize(client: FlaskClient, text: str) -> list[int]:
    answer = client.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).get_json()
    assert answer["count"] == len(answer["tokens"])
    ids: list[int] = answer["tokens"]
    return ids


def test_ids_are_those_of_the_vocabulary(client: FlaskClient, tiny_bundle: Path) -> None:
    vocabulary = Bundle.load(tiny_bundle).vocabulary
    text = "The fox met the dragon.\n"
    asked = {"prompt": text, "return_token_strs": True}
    answer = client.post("/tokenize", json=asked).get_json()
    assert answer["token_strs"] == ["The", "fox", "<unk>", "the", "<unk>", "￭.", "\n"]
    assert answer["tokens"] == vocabulary.encode(answer["token_strs"]).tolist()


def test_a_written_eos_is_the_end_of_a_document(client: FlaskClient) -> None:
    assert tokenize(client, "<eos>") == [1]
    one, two = tokenize(client, "The fox"), tokenize(client, "Who")
    assert tokenize(client, "<eos>The fox<eos>Who") == [1, *one, 1, *two]


words = st.sampled_from(["The", "fox", "hare", "sat", "by", "the", "mill", "Who", "\n"])


@given(st.lists(words, max_size=8).map(" ".join))
def test_known_words_survive_a_round_trip(client: FlaskClient, text: str) -> None:
    ids = tokenize(client, text)
    back = client.post("/detokenize", json={"tokens": ids}).get_json()["prompt"]
    assert tokenize(client, back) == ids


def test_the_tokenizer_says_what_it_is(client: FlaskClient, tiny_bundle: Path) -> None:
    info = client.get("/tokenizer_info").get_json()
    assert info["eos_token"] == "<eos>"
    assert info["vocab_size"] == len(Bundle.load(tiny_bundle).vocabulary)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "x" * 20_001}, "prompt"),
        ("/tokenize", {"prompt": 3}, "prompt"),
        ("/detokenize", {"tokens": ["x"]}, "tokens"),
        ("/detokenize", {"tokens": [99_999]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
    ],
)
def test_a_wrong_field_is_named(
    client: FlaskClient, path: str, body: dict[str, object], param: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == param


TASK = """
task: tales
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{begin}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: " "
metric_list: [{{metric: acc}}]
"""


@pytest.mark.slow
def test_lm_eval_evaluates_the_model(
    start_server: Callable[..., str], tiny_bundle: Path, tmp_path: Path
) -> None:
    """EleutherAI's harness, through its `local-completions`, against the scores of Python."""
    pytest.importorskip("lm_eval")
    questions = [
        {"begin": "The fox sat by", "choices": ["the mill", "night singing"], "answer": 0},
        {"begin": "So the owl", "choices": ["river who", "asked: where is"], "answer": 1},
    ]
    data = tmp_path / "tales.jsonl"
    data.write_text("".join(json.dumps(question) + "\n" for question in questions))
    (tmp_path / "tales.yaml").write_text(TASK.format(data=data))
    url = start_server(str(tiny_bundle))
    subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args"),
            f"base_url={url}v1/completions,model=tales,tokenizer_backend=remote,max_retries=1",
            *("--include_path", tmp_path, "--tasks", "tales", "--log_samples"),
            *("--output_path", tmp_path / "out"),
        ],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    [file] = (tmp_path / "out").rglob("samples_tales_*.jsonl")
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    model = lorelm.load(tiny_bundle)
    for sample, question in zip(samples, questions, strict=True):
        assert sample["acc"] == 1.0
        for choice, response in zip(question["choices"], sample["filtered_resps"], strict=True):
            num_begin = len(model.tokenizer.tokenize(question["begin"]))
            scored = model.score(f"{question['begin']} {choice}")[num_begin:]
            expected = sum(token.log_probability or 0 for token in scored)
            assert float(response[0]) == pytest.approx(expected, abs=1e-4)
