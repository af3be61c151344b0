// A trained model with its tokenizer and vocabulary: text in, text out.

import { NoCopyProcessor } from "./copies.js";
import { Detokenizer } from "./detokenizer.js";
import { KneserNey, Mixture } from "./kneser_ney.js";
import { Ban, Penalties, SpeakerRules } from "./logits.js";
import { Network } from "./network.js";
import { PrefixCache } from "./prefix_cache.js";
import { readPrompt, turnEnds } from "./prompts.js";
import { seedsOf, settingsOf, WrongRequest } from "./request.js";
import { Sequence } from "./sequence.js";
import { EOS_ID, OTHER_SPEAKER, speakerName } from "./special_tokens.js";
import { StandIns } from "./stand_ins.js";
import { makeTokenizer } from "./tokenizer.js";
import { Vocabulary } from "./vocabulary.js";
import { WordIndex } from "./word_index.js";

/** @typedef {import("./copies.js").TrainingText} TrainingText */
/** @typedef {import("./model_file.js").ModelFile} ModelFile */
/** @typedef {import("./sequence.js").Processor} Processor */

const MAX_UNKNOWN_WORDS = 50; // the search for the nearest words of each takes milliseconds

export class LanguageModel {
  /** Of the training text, to mark copies. @type {TrainingText | null} */
  trainingText = null;
  #metadata;
  #network;
  #cache = new PrefixCache();
  #mixture;
  #standIns;
  #speakerRules;
  #neverWritten;
  /** @type {WordIndex | null} */
  #wordIndex = null;

  /** @param {ModelFile} file @param {WebAssembly.Module} module products.wat */
  constructor(file, module) {
    const { words, tokenizer, never_written: neverWritten, mixture_weight: weight } = file.metadata;
    this.#metadata = file.metadata;
    this.vocabulary = new Vocabulary(words);
    this.tokenizer = makeTokenizer(tokenizer, [...this.vocabulary.speakers.keys()], words);
    this.#network = new Network(file, module);

    this.#mixture = weight === null ? null : new Mixture(new KneserNey(file, words.length), weight);
    this.#standIns = new StandIns(this.tokenizer, this.vocabulary);
    this.#speakerRules = this.vocabulary.speakers.size ? new SpeakerRules(this.vocabulary) : null;
    const banned = neverWritten.map((/** @type {string} */ word) => this.vocabulary.idOf(word));
    this.#neverWritten = banned.length ? new Ban(banned) : null;
  }

  /** Return the prompt and a sequence for each sample. @param {RequestBody} body */
  request(body) {
    const settings = settingsOf(body, this.#metadata.defaults);
    if (settings.novel_span && !this.trainingText)
      throw new WrongRequest(
        "This page has no index of the training text, so it cannot tell copies",
      );
    const prompt = readPrompt(settings.prompt, this.tokenizer, this.vocabulary);
    const { has_stand_ins: hasStandIns, reads_eos_first: readsEosFirst } = this.#metadata;
    if (hasStandIns && prompt.unknownWords.length) {
      this.#standIns.fill(prompt, (ids) => this.#logitsAfter(ids));
    }
    const ends = settings.single_turn ? turnEnds(this.vocabulary, prompt) : [];
    const { words } = this.vocabulary;
    const wordOf = (/** @type {number} */ id) => prompt.standIns.get(id) ?? words[id];
    const readsEos = readsEosFirst || !prompt.ids.length;
    const sequences = seedsOf(settings).map((seed) => {
      const stop = [...settings.stop, ...ends];
      const detokenizer = new Detokenizer(this.tokenizer, wordOf, prompt, stop);
      const processors = this.#processors(prompt, settings);
      const inputIds = readsEos ? [EOS_ID, ...prompt.ids] : prompt.ids;
      return new Sequence({ prompt, settings, inputIds, seed, detokenizer, processors });
    });
    return { prompt, sequences };
  }

  /** Read one id of a sequence; after the prompt, sample the next. @param {Sequence} sequence */
  advance(sequence) {
    const { tokenIds, numPromptIds } = sequence;
    if (!sequence.state) Object.assign(sequence, this.#cache.longestPrefix(tokenIds));
    sequence.state ??= this.#network.newState();
    const logits = this.#network.step(tokenIds[sequence.numRead], sequence.state);
    sequence.numRead++;
    if (!sequence.isReading) {
      const known = tokenIds.slice(0, sequence.numRead);
      sequence.append(this.#mixture ? this.#mixture.apply(logits, known) : logits);
    }
    // Other samples begin with the last id of the prompt, and the next request with this text.
    if (sequence.numRead === numPromptIds - 1 || sequence.isFinished)
      this.#cache.add(tokenIds.slice(0, sequence.numRead), sequence.state);
  }

  /**
   * Return a generated token with its score and its alternatives, as the API has it.
   * @param {Sequence} sequence @param {number} place
   * @returns {Token}
   */
  tokenAt({ prompt, scores, detokenizer, tokenIds, numPromptIds }, place) {
    const { words } = this.vocabulary;
    const at = numPromptIds + place;
    const text = detokenizer.chunks[place];
    const wordOf = (/** @type {number} */ id) => prompt.standIns.get(id) ?? words[id];
    const previous = place ? wordOf(tokenIds[at - 1]) : prompt.lastToken;
    const { logProbability, alternatives } = scores[place];
    const shown = (/** @type {number} */ id) => {
      if (words[id] === OTHER_SPEAKER) return text;
      return id === EOS_ID ? "" : this.tokenizer.piece(wordOf(id), previous);
    };
    return {
      text,
      log_probability: logProbability,
      // `<other speaker>` has a name only where it was picked.
      alternatives: alternatives
        .filter(([id]) => words[id] !== OTHER_SPEAKER || id === tokenIds[at])
        .map(([id, log]) => ({ text: shown(id), log_probability: log })),
    };
  }

  /** Return the words of a text that the model does not know. @param {string} text */
  check(text) {
    const prompt = readPrompt(text, this.tokenizer, this.vocabulary);
    const names = prompt.tokens.map(speakerName).filter((name) => name !== null);
    const speakers = names.filter((name) => !this.vocabulary.speakers.has(name));
    const unknown = [...new Set(speakers.map((name) => `${name}:`)), ...prompt.unknownWords];
    this.#wordIndex ??= new WordIndex(this.tokenizer, this.vocabulary);
    const index = this.#wordIndex;
    return {
      unknown_words: unknown
        .slice(0, MAX_UNKNOWN_WORDS)
        .map((word) => ({ word, nearest: index.nearest(word) })),
      num_unknown_words: unknown.length,
    };
  }

  /** Return the network's logits after some ids. @param {number[]} ids */
  #logitsAfter(ids) {
    const state = this.#network.newState();
    return ids.map((id) => this.#network.step(id, state)).at(-1) ?? new Float32Array();
  }

  /**
   * @param {import("./prompts.js").Prompt} prompt
   * @param {import("./request.js").Settings} settings
   */
  #processors(prompt, settings) {
    /** @type {Processor[]} */
    const processors = [];
    if (this.#speakerRules) processors.push(this.#speakerRules);
    if (settings.novel_span && this.trainingText)
      processors.push(new NoCopyProcessor(this.trainingText, prompt.tokens, settings.novel_span));
    if (this.#neverWritten) processors.push(this.#neverWritten);
    const { repetition_penalty: repetition, frequency_penalty: frequency } = settings;
    if (repetition !== 1 || frequency || settings.presence_penalty)
      processors.push(new Penalties(settings, prompt.ids, this.vocabulary.size));
    return processors;
  }
}
