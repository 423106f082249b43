/** What a person types, message by message: a text of several lines that was pasted is one. */

import type { CancelTimer, Clock } from "../base/clock.ts";

/** Lines of one paste follow each other faster than anybody types. */
const PASTE_MS = 30;
/** Of a line a terminal of Linux holds so many bytes, and drops the rest. */
const MAX_LINE_BYTES = 4_095;
/** A letter whose end is dropped is read as another one of three bytes. */
const MAX_CUT_BYTES = MAX_LINE_BYTES + 2;

const encoder = new TextEncoder();

/** What {@linkcode typedMessages} takes. */
export interface TypedMessagesOptions {
  readonly clock: Clock;
  /** Told that several lines have come at once: Enter sends them. */
  readonly onPaste: () => void;
  /** Told that a line is as long as the terminal lets it: there may have been more of it. */
  readonly onCut: () => void;
}

/** See {@linkcode typedMessages}. */
export interface TypedMessages extends AsyncIterable<string> {
  /** Forgets what was pasted and not sent yet. */
  drop(): void;
}

/**
 * The messages in lines that come as they are typed. Lines that come at once belong together, with
 * what stands in the line that is sent next: a terminal holds back the end of a paste until Enter.
 */
export function typedMessages(
  lines: AsyncIterable<string>,
  { clock, onPaste, onCut }: TypedMessagesOptions,
): TypedMessages {
  const messages: string[] = [];
  let changed = Promise.withResolvers<void>();
  let isOver = false;
  let failure: { thrown: unknown } | undefined;
  let pasted: string[] = [];
  let fresh: string[] = [];
  let cancel: CancelTimer = () => {};
  const quiet = () => {
    const isPaste = fresh.length > 1;
    if (isPaste && pasted.length === 0) onPaste();
    pasted.push(...fresh);
    fresh = [];
    if (isPaste) return;
    messages.push(pasted.join("\n"));
    pasted = [];
    changed.resolve();
  };
  const read = async () => {
    try {
      for await (const line of lines) {
        if (isCut(line)) onCut();
        fresh.push(line);
        cancel();
        cancel = clock.after(PASTE_MS, quiet);
      }
    } catch (thrown) {
      failure = { thrown };
    }
    cancel();
    if (pasted.length + fresh.length > 0) messages.push([...pasted, ...fresh].join("\n"));
    isOver = true;
    changed.resolve();
  };
  return {
    drop() {
      cancel();
      [pasted, fresh] = [[], []];
    },
    async *[Symbol.asyncIterator]() {
      const reading = read();
      try {
        for (;;) {
          while (messages.length > 0) yield messages.shift()!;
          if (isOver) break;
          await changed.promise;
          changed = Promise.withResolvers();
        }
        await reading;
        if (failure !== undefined) throw failure.thrown;
      } finally {
        cancel();
      }
    },
  };
}

function isCut(line: string): boolean {
  const { length } = encoder.encode(line);
  return length >= MAX_LINE_BYTES && length <= MAX_CUT_BYTES;
}
