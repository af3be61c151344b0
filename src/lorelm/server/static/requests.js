// What requests have in common, whoever answers them.

/** A request that failed, with a sentence for the user. */
export class RequestError extends Error {
  /**
   * @param {string} message @param {FieldProblem[]} [fields] The fields that were wrong.
   * @param {string} [code] What went wrong, for the script.
   */
  constructor(message, fields = [], code = "") {
    super(message);
    this.fields = fields;
    this.code = code;
  }
}

/** A request that was refused in the words of the API, or of an exported model: in English. */
export class ApiError extends RequestError {}

/**
 * Return the end of a text, as long as the model reads, without half characters.
 * @param {string} text @param {number} maxLength
 */
export function promptOf(text, maxLength) {
  const end = text.slice(-maxLength).replace(/^[\uDC00-\uDFFF]/, "");
  return end.replace(/\p{Surrogate}/gu, "\uFFFD");
}
