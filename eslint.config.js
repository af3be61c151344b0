import js from "@eslint/js";

const GLOBALS = {
  browser: [
    ...["document", "window", "history", "addEventListener"],
    ...["Element", "Highlight", "HTMLButtonElement", "HTMLElement", "HTMLFormElement"],
    ...["HTMLInputElement", "HTMLSelectElement", "HTMLTextAreaElement", "InputEvent", "Node"],
    ...[
      "NodeFilter",
      "Text",
      "requestAnimationFrame",
      "navigator",
      "EventSource",
      "FormData",
      "XMLHttpRequest",
      "location",
      "HTMLDetailsElement",
      "HTMLProgressElement",
      "ResizeObserver",
      "HTMLAnchorElement",
      "localStorage",
    ],
  ],
  both: [
    ...["AbortController", "TextDecoderStream", "URL", "clearTimeout", "crypto", "fetch"],
    ...["performance", "setTimeout", "Blob", "Event", "TextEncoder", "URLSearchParams"],
  ],
  model: [
    ...["DecompressionStream", "MessageChannel", "Response", "TextDecoder"],
    ...["WebAssembly", "Worker", "caches", "console", "navigator", "postMessage"],
  ],
  node: ["Response", "ReadableStream", "WebAssembly", "process"],
};

const globalsOf = (...kinds) =>
  Object.fromEntries(kinds.flatMap((kind) => GLOBALS[kind]).map((name) => [name, "readonly"]));

export default [
  js.configs.recommended,
  {
    rules: {
      complexity: ["error", 10],
      eqeqeq: "error",
      "max-lines": ["error", 350],
      "max-lines-per-function": ["error", { max: 50, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 7],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["src/lorelm/server/static/*.js"],
    languageOptions: { globals: globalsOf("browser", "both") },
  },
  {
    files: ["src/lorelm/export/static/*.js"],
    languageOptions: { globals: globalsOf("browser", "both", "model") },
  },
  {
    files: ["tests/server/static/*.js", "tests/export/**/*.js"],
    languageOptions: { globals: globalsOf("both", "node") },
  },
];
