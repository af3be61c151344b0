"""The tokenizer over HTTP, as evaluation tools ask servers for it."""

from flask import Blueprint, Response, jsonify, request

from lorelm.server.openai.requests import DetokenizeRequest, TokenizeRequest
from lorelm.server.served_models import ServedModels


def make_tokenizer_api(models: ServedModels) -> Blueprint:
    """Text to ids, and back. A written `<eos>` is the end of a document."""
    tokenizing = Blueprint("tokenizing", __name__)

    @tokenizing.post("/tokenize")
    def tokenize() -> Response:
        asked = TokenizeRequest.from_request()
        model = models.find(asked.model).model
        words = model.vocabulary.words
        ids = model.documents_to_ids(asked.prompt)
        strings = {"token_strs": [words[id_] for id_ in ids]} if asked.return_token_strs else {}
        return jsonify({"tokens": ids, "count": len(ids)} | strings)

    @tokenizing.post("/detokenize")
    def detokenize() -> Response:
        asked = DetokenizeRequest.from_request()
        model = models.find(asked.model).model
        return jsonify({"prompt": model.ids_to_documents(asked.tokens, field="tokens")})

    @tokenizing.get("/tokenizer_info")
    def tokenizer_info() -> Response:
        served = models.find(request.args.get("model"))
        unk, eos = served.model.vocabulary.words[:2]
        return jsonify(
            {
                "tokenizer_class": f"lorelm.{served.manifest.tokenizer}",
                "vocab_size": len(served.model.vocabulary),
                "eos_token": eos,
                "bos_token": None,
                "unk_token": unk,
                "pad_token": None,
                "chat_template": None,
            }
        )

    return tokenizing
