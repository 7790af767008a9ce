// What every SDK is asked over every upstream, and what it must see; the same as in `../matrix/checks.py`.

import assert from "node:assert/strict";

const QUESTION = "What does the river do?";
const REPEATED = "repeat after me: the mill stands still";
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOLS = [
  { name: "weather", about: "The weather of a city", parameters: city },
  { name: "clock", about: "The time in a city", parameters: city },
];
const RESULTS = { weather: "sunny", clock: "noon" };

// An SDK, or the dialect that it speaks, has no such thing.
export class Unable extends Error {}

async function raised(call) {
  let outcome;
  try {
    outcome = await call();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: `no error, but ${JSON.stringify(outcome)}` });
}

const brokenStream = (fault) => async (adapter, model) => {
  await raised(() => adapter.stream(`${model}-${fault}`, QUESTION));
};

const encoded = (encoding) => async (adapter, model) => {
  assert.equal(await adapter.chat(`${model}-${encoding}`, REPEATED), "the mill stands still");
  assert.equal(await adapter.stream(`${model}-${encoding}`, REPEATED), "the mill stands still");
};

export const CHECKS = {
  async chat(adapter, model) {
    assert.equal(await adapter.chat(model, REPEATED), "the mill stands still");
  },
  async stream(adapter, model) {
    assert.equal(await adapter.stream(model, REPEATED), "the mill stands still");
  },
  async tools(adapter, model) {
    for (const isStream of [false, true]) {
      const { calls, text } = await adapter.tools(model, "Please call two tools at once.", TOOLS, RESULTS, isStream);
      assert.deepEqual(calls.map((call) => call.name), ["weather", "clock"]);
      assert.ok(calls.every((call) => typeof call.input.city === "string"), JSON.stringify(calls));
      assert.match(text, /tools said.*sunny.*noon/);
    }
  },
  async schema(adapter, model) {
    const value = await adapter.schema(model, "Who lives in the mill?", SCHEMA);
    assert.equal(typeof value.name, "string");
    assert.ok(Number.isInteger(value.age));
  },
  async image(adapter, model) {
    assert.match(await adapter.image(model, "What is in the picture?", PNG), /^saw 1 image/);
  },
  async embeddings(adapter, model) {
    const vectors = await adapter.embeddings(model, ["river", "mill"]);
    assert.equal(vectors.length, 2);
    assert.ok(vectors[0].length === vectors[1].length && vectors[0].length > 0);
    assert.notDeepEqual(vectors[0], vectors[1]);
  },
  async errors(adapter, model) {
    for (const [wanted, call] of [
      [404, () => adapter.chat("no-such-model", QUESTION)],
      [401, () => adapter.withKey("sk-wrong").chat(model, QUESTION)],
      [429, () => adapter.chat(`${model}-limited`, QUESTION)],
    ]) {
      const error = await raised(call);
      assert.equal(adapter.status(error), wanted, String(error));
    }
  },
  cut: brokenStream("cut"),
  eof: brokenStream("eof"),
  stall: brokenStream("stall"),
  garbage: brokenStream("garbage"),
  gzip: encoded("gzip"),
  br: encoded("brotli"),
};
