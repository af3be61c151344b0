// The order of search results: pages for readers first, then those that record how LoreLM is made.
// Sphinx reads the global `Scorer` in place of its own, so all scores are here.

const RECORDS =
  /^(decisions|project|brand|results|benchmarks|dependencies)(\/(?!(english|model-card)$)|$)/;

var Scorer = {
  // Ten is more than the ratio of the best score below (a title) to the worst (part of a word).
  score: ([docname, , , , score]) => (RECORDS.test(docname) ? score / 10 : score),

  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
