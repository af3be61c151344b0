import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { RequestError } from "../../../src/lorelm/server/static/api.js";
import { DraftKeeper, nextName } from "../../../src/lorelm/server/static/draft_keeper.js";
import { LocalDrafts } from "../../../src/lorelm/server/static/local_drafts.js";

/** What browsers have: two tabs of one browser share the local one. */
class FakeStorage {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(i) {
    return [...this.#items.keys()][i] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    if (value.length > 5_000_000) throw new Error("QuotaExceededError");
    this.#items.set(key, value);
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

beforeEach(() => {
  globalThis.localStorage = new FakeStorage();
  globalThis.sessionStorage = new FakeStorage();
});

class Tab {
  text = "";
  state = "";
  store = new LocalDrafts();
  keeper = new DraftKeeper(this.store, {
    text: () => ({ content: this.text ? [this.text] : [], model: "" }),
    onState: (state) => (this.state = state),
    onFailed: (error) => (this.state = error),
  });

  async write(text) {
    this.text = text;
    await this.keeper.save();
  }

  async open(id) {
    this.text = (await this.keeper.open(id)).content.join("");
  }
}

const kept = async () =>
  Object.fromEntries(
    await Promise.all(
      (await new LocalDrafts().list({})).drafts.map(async ({ id, name }) => [
        name,
        (await new LocalDrafts().open(id)).content.join(""),
      ]),
    ),
  );

test("a text is saved as it changes, once it is a draft", async () => {
  const tab = new Tab();
  await tab.write("no draft yet");
  assert.deepEqual(await kept(), {});
  await tab.keeper.add("The mill");
  await tab.write("one");
  await tab.write("two");
  assert.deepEqual(await kept(), { "The mill": "two" });
  assert.equal(tab.state, "Saved.");
});

test("a double click makes one draft", async () => {
  const tab = new Tab();
  tab.text = "one";
  await Promise.all([tab.keeper.add("The mill"), tab.keeper.add("The mill")]);
  assert.equal((await tab.store.list({})).drafts.length, 1);
});

test("a draft that is added late does not catch the text that follows", async () => {
  const tab = new Tab();
  tab.text = "one";
  const added = tab.keeper.add("The mill");
  tab.keeper.leave();
  tab.text = "another text";
  await added;
  await tab.keeper.save();
  assert.equal(tab.keeper.name, null);
  assert.deepEqual(await kept(), { "The mill": "one" });
});

test("no draft takes the place of a text that cannot be saved", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  const { id } = await tab.store.add({ name: "Other", content: ["other"], model: "" });
  tab.store.save = async () => {
    throw new RequestError("There is no more room.", [], "draft.no_room");
  };
  tab.text = "two";
  await assert.rejects(tab.open(id), /could not be saved/);
  assert.equal(tab.keeper.name, "The mill");
  tab.keeper.leave();
  await tab.open(id);
  assert.equal(tab.text, "other");
});

test("a text that is saved already is not sent again", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  const sent = [];
  tab.store.save = async (id, save) => {
    sent.push(save.content.join(""));
    return { version: save.version + 1 };
  };
  await tab.write("one");
  await tab.write("two");
  await tab.keeper.save();
  await tab.keeper.save({ keepalive: true });
  assert.deepEqual(sent, ["two"]);
});

test("an emptied editor leaves the draft as it was", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  await tab.write(" \n");
  assert.deepEqual(await kept(), { "The mill": "one" });
});

test("what is written after leaving a draft is not part of it", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  tab.text = "one and more";
  const saved = tab.keeper.leave();
  await tab.write("another text");
  await saved;
  assert.deepEqual(await kept(), { "The mill": "one and more" });
  assert.equal(tab.keeper.name, null);
});

test("of two tabs that change a draft, the later goes on as a draft of its own", async () => {
  const [one, other] = [new Tab(), new Tab()];
  one.text = "begun";
  await one.keeper.add("The mill");
  const [{ id }] = (await one.store.list({})).drafts;
  await other.open(id);
  await one.write("by one");
  await other.write("by the other");
  assert.deepEqual(await kept(), { "The mill": "by one", "The mill (2)": "by the other" });
  assert.match(other.state, /“The mill” was changed in another tab.*“The mill \(2\)”/);
  await other.write("by the other, later");
  await one.write("by one, later");
  assert.deepEqual(await kept(), {
    "The mill": "by one, later",
    "The mill (2)": "by the other, later",
  });
});

test("a draft that was deleted elsewhere is no draft any more", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  const [{ id }] = (await tab.store.list({})).drafts;
  await new LocalDrafts().remove(id);
  await tab.write("two");
  assert.match(tab.state, /deleted elsewhere/);
  assert.equal(tab.keeper.name, null);
});

test("a failure is shown, and the next save makes up for it", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  const { save } = tab.store;
  const failure = new RequestError("The server does not answer.", [], "history");
  tab.store.save = async () => {
    throw failure;
  };
  await tab.write("two");
  assert.equal(tab.state, failure);
  tab.store.save = save;
  await tab.keeper.save();
  assert.equal(tab.state, "Saved.");
  assert.deepEqual(await kept(), { "The mill": "two" });
});

test("after a reload the draft goes on, with what was typed last", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  const again = new Tab();
  again.text = "one, and typed last";
  again.keeper.resume();
  await again.keeper.save();
  assert.equal(again.keeper.name, "The mill");
  assert.deepEqual(await kept(), { "The mill": "one, and typed last" });
});

test("a save whose answer was lost is no conflict", async () => {
  const tab = new Tab();
  tab.text = "one";
  await tab.keeper.add("The mill");
  const [{ id }] = (await tab.store.list({})).drafts;
  await tab.store.save(id, { version: 1, content: ["two"], model: "" });
  await tab.write("two");
  await tab.write("three");
  assert.deepEqual(await kept(), { "The mill": "three" });
});

test("copies have names of their own", () => {
  assert.equal(nextName("The mill"), "The mill (2)");
  assert.equal(nextName("The mill (2)"), "The mill (3)");
  assert.equal(nextName("x".repeat(100)).length, 100);
});

test("drafts in the browser have pages, a search, and starred ones first", async () => {
  const store = new LocalDrafts();
  for (let i = 0; i < 45; i++)
    await store.add({ name: `Draft ${i}`, content: [`text ${i}`], model: "", starred: i === 7 });
  const names = [];
  let after = null;
  do {
    const page = await store.list({ after });
    names.push(...page.drafts.map(({ name }) => name));
    after = page.next;
  } while (after);
  assert.equal(new Set(names).size, 45);
  assert.equal(names[0], "Draft 7");
  const found = await store.list({ search: "TEXT 12" });
  assert.deepEqual(
    found.drafts.map(({ name, content }) => [name, content]),
    [["Draft 12", null]],
  );
});

test("a browser without room for a draft says so", async () => {
  const store = new LocalDrafts();
  const huge = { name: "x", content: ["x".repeat(6_000_000)], model: "" };
  await assert.rejects(store.add(huge), /no more room/);
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get() {
      throw new Error("SecurityError");
    },
  });
  await assert.rejects(store.list({}), /keeps nothing/);
  delete globalThis.localStorage;
});
