// Does what a test asks for with the modules of an exported page, in Node: reads a job as JSON from
// the standard input, and writes the results as JSON.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const SOURCES = new URL("../../src/lorelm/export/static/", import.meta.url);

const load = (name) => import(new URL(name, SOURCES));

const { ModelFile } = await load("model_file.js");
const { LanguageModel } = await load("language_model.js");
const { FingerprintIndex } = await load("fingerprints.js");
const { TrainingText } = await load("copies.js");
const { Network } = await load("network.js");
const { Philox } = await load("random.js");
const { blake2b64 } = await load("blake2b.js");
const { quantised, sigmoid, tanh } = await load("activations.js");
const characters = await load("characters.js");

const module = new WebAssembly.Module(readFileSync(new URL("products.wasm", SOURCES)));

function read(path) {
  const { buffer, byteOffset, length } = new Uint8Array(gunzipSync(readFileSync(path)));
  return ModelFile.parse(buffer.slice(byteOffset, byteOffset + length));
}

function open({ model: path, copies }) {
  const model = new LanguageModel(read(path), module);
  if (copies) {
    const index = new FingerprintIndex(read(copies));
    model.trainingText = new TrainingText(index, model.tokenizer, model.vocabulary);
  }
  return model;
}

function generated(model, body) {
  const { prompt, sequences } = model.request(body);
  const samples = sequences.map((sequence) => {
    while (!sequence.isFinished) model.advance(sequence);
    const { chunks } = sequence.detokenizer;
    return {
      text: chunks.join(""),
      finish_reason: sequence.finishReason,
      seed: sequence.seed,
      num_tokens: sequence.numTokens,
      tokens: chunks.map((_, place) => model.tokenAt(sequence, place)),
      copied_spans: model.trainingText?.copiedSpans(sequence) ?? null,
    };
  });
  return { unknown_words: prompt.unknownWords, samples };
}

/** Return ranges of the code points that a property holds for. */
function ranges(holds) {
  const found = [];
  for (let code = 0; code < 0x110000; code++) {
    if (!holds(String.fromCodePoint(code))) continue;
    if (found.at(-1)?.[1] === code) found.at(-1)[1]++;
    else found.push([code, code + 1]);
  }
  return found;
}

const JOBS = {
  generate: ({ bodies, ...files }) => {
    const model = open(files);
    return bodies.map((body) => generated(model, body));
  },
  refuse: ({ bodies, ...files }) => {
    const model = open(files);
    return bodies.map((body) => {
      try {
        model.request(body);
      } catch ({ message, fields }) {
        return { message, fields };
      }
      return null;
    });
  },
  tokenize: ({ texts, ...files }) => {
    const { tokenizer } = open(files);
    return texts.map((text) => tokenizer.tokenizePrompt(text));
  },
  check: ({ texts, ...files }) => {
    const model = open(files);
    return texts.map((text) => model.check(text));
  },
  logits: ({ ids, model }) => {
    const network = new Network(read(model), module);
    const state = network.newState();
    return ids.map((id) => [...network.step(id, state)]);
  },
  random: ({ seeds, count }) =>
    seeds.map((seed) => {
      const generator = new Philox(seed);
      return Array.from({ length: count }, () => generator.random());
    }),
  hash: ({ texts }) => texts.map((text) => String(blake2b64(new TextEncoder().encode(text)))),
  activations: ({ numbers, scale }) => ({
    tanh: numbers.map(tanh),
    sigmoid: numbers.map(sigmoid),
    quantised: numbers.map((number) => quantised(number, Math.fround(scale))),
  }),
  characters: () => {
    const pattern = (inside) => new RegExp(`^[${inside}]$`, "u");
    const [space, letter] = [pattern(characters.SPACE), pattern(characters.LETTERS)];
    return {
      isspace: ranges((each) => space.test(each)),
      isalnum: ranges((each) => letter.test(each)),
      isupper: ranges(characters.isUpper),
      islower: ranges(characters.isLower),
      isalpha: ranges(characters.hasLetter),
      isdigit: ranges(characters.hasDigit),
    };
  },
  casefold: ({ texts }) => texts.map(characters.casefold),
};

const { kind, ...job } = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(JOBS[kind](job)));
