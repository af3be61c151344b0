// Large files that the page keeps in the browser: the model is loaded once. offline.js keeps the
// small ones in the same store.

/**
 * Return the store of the site in a folder; null where the browser has none for it, as on a page
 * without https, or in a frame.
 * @param {URL} folder Several sites may share a host.
 */
export async function openStore(folder) {
  try {
    return await caches.open(`lorelm ${folder.pathname}`);
  } catch {
    return null;
  }
}

/** What kind of large file this is, without the hash in its name. @param {string} url */
const kindOf = (url) => url.replace(/-[0-9a-f]+\.bin$/, "");

/**
 * Keep a large file, and drop those of the same kind from earlier versions of the site.
 * @param {Cache | null} store @param {string} url @param {Blob} content
 */
export async function keep(store, url, content) {
  if (!store) return;
  for (const { url: other } of await store.keys())
    if (other !== url && kindOf(other) === kindOf(url)) await store.delete(other);
  await store.put(url, new Response(content));
}
