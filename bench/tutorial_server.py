"""The baseline of bench/serving.py: a model behind Flask, as a tutorial would write it.

    python bench/tutorial_server.py PORT

A plain ``nn.LSTM`` of the sizes of the classic recipe, called for one token after the other, behind
a view of Flask's own server.
"""

import sys

import torch
from flask import Flask, jsonify, request
from torch import nn

VOCABULARY_SIZE = 911

app = Flask(__name__)


class LSTMLanguageModel(nn.Module):
    def __init__(self, vocab_size: int, emb_dim: int, hid_dim: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, emb_dim)
        self.lstm = nn.LSTM(emb_dim, hid_dim, num_layers, batch_first=True)
        self.fc = nn.Linear(hid_dim, vocab_size)

    def forward(self, src, hidden=None):
        output, hidden = self.lstm(self.embedding(src), hidden)
        return self.fc(output), hidden


model = LSTMLanguageModel(VOCABULARY_SIZE, 512, 512, 2).eval()
stoi = {f"w{i}": i for i in range(VOCABULARY_SIZE)}


@app.post("/api/generate")
def generate():
    asked = request.get_json()
    torch.manual_seed(asked["seed"])
    ids = [stoi[word] for word in asked["prompt"].split()]
    words = []
    with torch.no_grad():
        logits, hidden = model(torch.tensor([ids]))
        for _ in range(asked["max_len"]):
            probabilities = torch.softmax(logits[0, -1] / 0.8, dim=-1)
            next_id = torch.multinomial(probabilities, num_samples=1).item()
            words.append(f"w{next_id}")
            logits, hidden = model(torch.tensor([[next_id]]), hidden)
    return jsonify({"samples": [{"text": " ".join(words), "num_tokens": len(words)}]})


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
