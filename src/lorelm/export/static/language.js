// Opens the page in the language of its visitor, and remembers the one that is chosen. Each language
// is a page of its own. A classic script in the head, so that it acts before anything is shown.
{
  const KEY = "lorelm.language";
  const SOURCE = "en"; // the language of index.html
  const { here = SOURCE, languages = "" } = document.currentScript?.dataset ?? {};
  const codes = languages.split(" ");

  const remembered = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a frame in a page of another site, or a browser that keeps nothing
    }
  };

  /**
   * Return the language of the site for a tag: of the tag itself, else without its region, else of
   * another region; the same as matching_language() in translations/message_catalogue.py.
   * @param {string} tag
   */
  const matching = (tag) => {
    const parts = tag.toLowerCase().split("-");
    const shorter = parts.map((_, i) => parts.slice(0, parts.length - i).join("-"));
    const relatives = codes.filter((code) => code.toLowerCase().split("-")[0] === parts[0]);
    const found = shorter.map((each) => codes.find((code) => code.toLowerCase() === each));
    return [...found, ...relatives].find(Boolean);
  };

  /** Return the language of the browser that the site has, the preferred one first. */
  const preferred = () => navigator.languages.map(matching).find(Boolean);

  // The link to index.html says so in its address, for browsers that remember nothing.
  const chosen = new URLSearchParams(location.search).get("lang");
  const named = (chosen ?? remembered() ?? preferred() ?? SOURCE).toLowerCase();
  const wanted = codes.find((code) => code.toLowerCase() === named) ?? SOURCE;
  // Only from index.html: the address of another page names its language.
  if (here === SOURCE && wanted !== SOURCE) location.replace(`${wanted}.html`);

  addEventListener("click", ({ target }) => {
    const link = target instanceof Element ? target.closest(".languages a") : null;
    if (!(link instanceof HTMLAnchorElement)) return;
    try {
      localStorage.setItem(KEY, link.lang);
    } catch {
      // The next visit begins in the browser's language.
    }
  });
}
