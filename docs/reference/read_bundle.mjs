// Prints the likeliest next words, from the files of a bundle: node read_bundle.mjs BUNDLE WORD ...
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [folder, ...prompt] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${folder}/manifest.json`));
function read(name) {
  const bytes = readFileSync(`${folder}/${name}`);
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (hash !== manifest.files[name]) throw new Error(`${name} is damaged`);
  return bytes;
}
const words = JSON.parse(read("vocabulary.json"));
const file = read("weights.safetensors"); // the length of the header in 8 bytes, the header, numbers
const start = 8 + Number(file.readBigUInt64LE(0));
const header = JSON.parse(file.subarray(8, start));
function numbers(name) {
  const { dtype, data_offsets: [from, to] } = header[name];
  const bytes = file.subarray(start + from, start + to);
  if (dtype === "F32") return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => fromHalf(bytes.readUInt16LE(2 * i)));
}
function fromHalf(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}
const [embedding, projection] = ["embedding", "projection"].map((layer) => header[`${layer}.weight`] && numbers(`${layer}.weight`));
const output = manifest.model.tied ? embedding : numbers("fc.weight");
const { num_layers: L, hidden_size: H, embedding_size: E } = manifest.model;
const layers = Array.from({ length: L }, (_, l) => ["weight_ih", "bias_ih", "weight_hh", "bias_hh"].map((name) => numbers(`lstm.${name}_l${l}`)));
const states = layers.map(() => ({ h: new Float32Array(H), c: new Float32Array(H) }));
const biases = { fc: numbers("fc.bias"), projection: projection && numbers("projection.bias") };
const linear = (x, weight, bias) => bias.map((b, row) => x.reduce((sum, value, i) => sum + value * weight[row * x.length + i], b));
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
function step(id) {
  let x = embedding.subarray(id * E, (id + 1) * E);
  for (const [l, [weightIn, biasIn, weightState, biasState]] of layers.entries()) {
    const fromState = linear(states[l].h, weightState, biasState);
    const gates = linear(x, weightIn, biasIn).map((sum, i) => sum + fromState[i]); // in, forget, cell, out
    const c = states[l].c.map((c, i) => sigmoid(gates[H + i]) * c + sigmoid(gates[i]) * Math.tanh(gates[2 * H + i]));
    x = c.map((c, i) => sigmoid(gates[3 * H + i]) * Math.tanh(c));
    states[l] = { h: x, c };
  }
  return linear(projection ? linear(x, projection, biases.projection).map(Math.tanh) : x, output, biases.fc);
}
const ids = ["<eos>", ...prompt].map((word) => Math.max(words.indexOf(word), 0)); // 0 is <unk>
const logits = ids.map(step).at(-1);
const total = logits.reduce((sum, z) => sum + Math.exp(z), 0);
const likeliest = [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, 5);
for (const id of likeliest) console.log((Math.exp(logits[id]) / total).toFixed(4), JSON.stringify(words[id]));
