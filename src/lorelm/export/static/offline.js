// The service worker: the page opens without the network once it was loaded. Files come from the
// network where there is one, so a new version of the site is seen at once.
//
// A classic script: Firefox loads no modules in service workers.

const FOLDER = new URL(".", location.href);

const openStore = () => caches.open(`lorelm ${FOLDER.pathname}`); // as store.js names it

/** Whether the page keeps a file itself: a large one. @param {string} url */
const isKeptByPage = (url) => new URL(url).pathname.endsWith(".bin");

/** @typedef {{waitUntil: (end: Promise<unknown>) => void}} InstallEvent */
/** @typedef {{request: Request, respondWith: (answer: Promise<Response>) => void}} FetchEvent */

async function install() {
  const response = await fetch(new URL("site.json", FOLDER));
  const { files } = await response.json();
  const addresses = Object.keys(files).map((name) => new URL(name, FOLDER).href);
  const store = await openStore();
  await store.addAll([FOLDER.href, ...addresses.filter((address) => !isKeptByPage(address))]);
}

/** @param {Request} request */
async function answer(request) {
  try {
    const response = await fetch(request);
    if (response.ok && !isKeptByPage(request.url))
      await (await openStore()).put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await (await openStore()).match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

addEventListener("install", (event) => {
  /** @type {InstallEvent} */ (/** @type {unknown} */ (event)).waitUntil(install());
});

addEventListener("fetch", (event) => {
  const { request } = /** @type {FetchEvent} */ (/** @type {unknown} */ (event));
  if (request.method !== "GET" || !request.url.startsWith(FOLDER.href)) return;
  /** @type {FetchEvent} */ (/** @type {unknown} */ (event)).respondWith(answer(request));
});
