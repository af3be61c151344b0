// Writes ZIP archives (APPNOTE.TXT 6.3, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT)
// without compression: the texts of the page are small.

const VERSION = 20; // 2.0, the oldest that readers know
const UTF8_NAMES = 0x0800;
const DATE = 0x0021; // 1980-01-01: the same text is the same file

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

/** Return the CRC-32 of bytes. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * Return an archive of texts by their names.
 * @param {Record<string, string>} files @returns {Uint8Array<ArrayBuffer>}
 */
export function zip(files) {
  const encoder = new TextEncoder();
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const path = encoder.encode(name);
    const data = encoder.encode(text);
    const common = commonFields(path, data);
    const header = [...numbers([4, 0x04034b50]), ...common];
    parts.push(Uint8Array.from(header), path, data);
    directory.push(Uint8Array.from(directoryEntry(common, offset)), path);
    offset += header.length + path.length + data.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const count = Object.keys(files).length;
  const end = numbers(
    [4, 0x06054b50],
    [4, 0],
    [2, count],
    [2, count],
    [4, size],
    [4, offset],
    [2, 0],
  );
  return joined([...parts, ...directory, Uint8Array.from(end)]);
}

/** Return what a file's header and its entry share. @param {Uint8Array} path @param {Uint8Array} data */
function commonFields(path, data) {
  const { length } = data;
  return numbers(
    ...[
      [2, VERSION],
      [2, UTF8_NAMES],
      [2, 0],
      [2, 0],
      [2, DATE],
    ],
    ...[
      [4, crc32(data)],
      [4, length],
      [4, length],
      [2, path.length],
      [2, 0],
    ],
  );
}

/** @param {number[]} common @param {number} offset Of the file's header. */
function directoryEntry(common, offset) {
  const start = numbers([4, 0x02014b50], [2, VERSION]);
  return [...start, ...common, ...numbers([2, 0], [2, 0], [2, 0], [4, 0], [4, offset])];
}

/** Return numbers as bytes, the lowest first. @param {number[][]} fields Bytes and value of each. */
function numbers(...fields) {
  return fields.flatMap(([length, value]) =>
    Array.from({ length }, (_, i) => (value >>> (8 * i)) & 0xff),
  );
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
