import assert from "node:assert/strict";
import { test } from "node:test";

import { requestsOf } from "../../../src/lorelm/server/static/settings.js";

const field = (name, value, type = "number") => ({ name, value, type });
const box = (name, value, checked) => ({ name, value, checked, type: "checkbox" });
const request = (fields, isAgain = false) => requestsOf(fields, { prompt: "p" }, { isAgain });

test("a request has the fields that are filled in", () => {
  const [{ title, body }] = request([
    ...[field("max_len", "9"), field("seed", " "), field("model", "tales", "select-one")],
    ...[box("novel_span", "6", true), box("compare", "true", false), field("temperature_b", "2")],
  ]);
  assert.equal(title, "Sample");
  const expected = { prompt: "p", num_samples: 1, max_len: 9, model: "tales", novel_span: 6 };
  assert.deepEqual(body, expected);
});

test("a comparison is two requests with one seed", () => {
  const fields = [field("temperature", "0.8"), field("temperature_b", "2")];
  const [one, other] = request([...fields, box("compare", "true", true)]);
  assert.deepEqual([one.title, other.title], ["temperature 0.8", "temperature 2"]);
  assert.ok(Number.isInteger(one.body.seed));
  assert.deepEqual(other.body, { ...one.body, temperature: 2 });
  const models = [field("model", "a", "select-one"), field("model_b", "b", "select-one")];
  const titles = request([...fields, ...models, box("compare", "true", true)]);
  assert.deepEqual(titles[1].title, "b, temperature 2");
});

test("Again takes another seed, a comparison the given one", () => {
  const seed = field("seed", "5");
  assert.equal(request([seed])[0].body.seed, 5);
  assert.notEqual(request([seed], true)[0].body.seed, 5);
  const compared = request([seed, field("temperature", "1"), box("compare", "true", true)]);
  assert.deepEqual([compared[0].body.seed, compared[1].body.seed], [5, 5]);
});

test("a share of the second model is a blend, unless both are compared or the same", () => {
  const models = (one, other) => [
    field("model", one, "select-one"),
    field("model_b", other, "select-one"),
  ];
  const share = field("blend_share", "0.3", "range");
  const [{ body }] = request([...models("a", "b"), share]);
  assert.deepEqual(body, { prompt: "p", num_samples: 1, model: "a", blend: { b: 0.3 } });
  assert.equal(request([...models("a", "a"), share])[0].body.blend, undefined);
  assert.equal(
    request([...models("a", "b"), field("blend_share", "0", "range")])[0].body.blend,
    undefined,
  );
  const compared = request([...models("a", "b"), share, box("compare", "true", true)]);
  assert.deepEqual(
    compared.map(({ body: each }) => each.blend),
    [undefined, undefined],
  );
});

test("a text is a text, also if it looks like something else", () => {
  const [{ body }] = request([
    field("must_contain", "true", "text"),
    field("memory", "7", "textarea"),
  ]);
  assert.deepEqual([body.must_contain, body.memory], ["true", "7"]);
});
