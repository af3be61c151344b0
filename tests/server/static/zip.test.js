import assert from "node:assert/strict";
import { test } from "node:test";

import { crc32, zip } from "../../../src/lorelm/server/static/zip.js";

test("CRC-32 is that of the standard", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("an archive has a directory of its files at its end", () => {
  const archive = zip({ "a.txt": "one", "ü/b.txt": "zwei ü" });
  const view = new DataView(archive.buffer);
  assert.equal(view.getUint32(0, true), 0x04034b50);
  const end = archive.length - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50);
  assert.equal(view.getUint16(end + 10, true), 2);
  const directory = view.getUint32(end + 16, true);
  assert.equal(view.getUint32(directory, true), 0x02014b50);
  assert.equal(directory + view.getUint32(end + 12, true), end);
  assert.deepEqual(zip({ "a.txt": "one", "ü/b.txt": "zwei ü" }), archive); // no time of day
});
