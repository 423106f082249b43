/**
 * An answer in pieces as a row of blocks: a text, a thought, a call of a tool, one after the other.
 * Other dialects know no pieces of two calls that come by turns, no call without a place or an id.
 */

import type { Said, SaidCall } from "./chat_answer.ts";

/** What is said without a change of kind; calls are one each. */
export interface Block {
  readonly type: "text" | "thought" | "call";
  /** Of a call; "" of others. */
  readonly id: string;
  /** Of a call; "" of others. */
  readonly name: string;
  /** All that was said in it so far; of a call its arguments as JSON. */
  readonly text: string;
}

/** Says blocks in a dialect: each is opened, added to and closed before the next one is. */
export interface BlockTeller {
  open(block: Block): string;
  /** @param piece What is new in it, never "". */
  add(block: Block, piece: string): string;
  close(block: Block): string;
}

/** So often the arguments of a call are looked at while another one waits. */
const MAX_ATTEMPTS = 100;

/** One that is being said, or waits until those before it are. */
class Growing implements Block {
  readonly type: Block["type"];
  id: string;
  name: string;
  text = "";
  /** What of it was not told yet: cutting it from the text would copy all of that each time. */
  untold = "";
  isOpen = false;
  isClosed = false;
  /** Whether what was said last in it may be the end of an object. */
  #mayBeWhole = false;
  #attempts = 0;

  constructor(type: Block["type"], id = "", name = "") {
    this.type = type;
    this.id = id;
    this.name = name;
  }

  /** Whether nothing more can come: of a call, when its arguments are JSON. */
  get isWhole(): boolean {
    if (this.type !== "call") return true;
    // Looking costs as much as it is long: one that is never whole waits for the end.
    if (!this.#mayBeWhole || this.#attempts === MAX_ATTEMPTS) return false;
    try {
      JSON.parse(this.text);
      return true;
    } catch {
      this.#mayBeWhole = false;
      this.#attempts++;
      return false;
    }
  }

  say(piece: string): void {
    this.text += piece;
    this.untold += piece;
    if (piece.trim() !== "") this.#mayBeWhole = /\}\s*$/.test(piece);
  }
}

/** See the top of the file. */
export class Blocks {
  readonly #teller: BlockTeller;
  readonly #newId: () => string;
  /** Those that were not said to their end, in order. */
  readonly #queue: Growing[] = [];
  readonly #calls: Growing[] = [];
  readonly #byIndex = new Map<number, Growing>();
  /** The first call of each id that an engine has given. */
  readonly #byId = new Map<string, Growing>();
  /** The ids of calls that were opened. */
  readonly #told = new Set<string>();

  /** @param newId Makes the id of a call that has none. */
  constructor(teller: BlockTeller, newId: () => string) {
    this.#teller = teller;
    this.#newId = newId;
  }

  /** Whether any tool was called. */
  get hasCalls(): boolean {
    return this.#calls.length > 0;
  }

  /** Takes what a piece says; returns what that is in the dialect. */
  push({ thought, text, calls }: Said): string {
    if (thought !== "") this.#say("thought", thought);
    if (text !== "") this.#say("text", text);
    for (const call of calls) {
      const block = this.#callOf(call);
      if (block.isClosed) continue;
      if (!block.isOpen) {
        block.id ||= call.id;
        block.name ||= call.name;
        this.#know(block);
      }
      block.say(call.json);
    }
    return this.#tell(false);
  }

  /** Says what still waits, and closes all. */
  end(): string {
    return this.#tell(true);
  }

  #say(type: "text" | "thought", piece: string): void {
    let last = this.#queue.at(-1);
    if (last?.type !== type) this.#queue.push(last = new Growing(type));
    last.say(piece);
  }

  #tell(isEnd: boolean): string {
    let told = "";
    while (this.#queue.length > 0) {
      const [block] = this.#queue;
      if (!block.isOpen) {
        if (block.type === "call") {
          // Its name may come in a later piece.
          if (block.name === "" && !isEnd) break;
          if (block.id === "" || this.#told.has(block.id)) block.id = `call_${this.#newId()}`;
          this.#told.add(block.id);
        }
        block.isOpen = true;
        told += this.#teller.open(block);
      }
      if (block.untold !== "") {
        const piece = block.untold;
        block.untold = "";
        told += this.#teller.add(block, piece);
      }
      if (!isEnd && (this.#queue.length === 1 || !block.isWhole)) break;
      block.isClosed = true;
      told += this.#teller.close(block);
      this.#queue.shift();
    }
    return told;
  }

  #know(block: Growing): void {
    if (block.id !== "" && !this.#byId.has(block.id)) this.#byId.set(block.id, block);
  }

  /** Which call a piece belongs to. */
  #callOf(call: SaidCall): Growing {
    const known = call.index === undefined ? this.#unplaced(call) : this.#byIndex.get(call.index);
    if (known !== undefined && !isAnother(call, known)) return known;
    const made = new Growing("call", call.id, call.name);
    if (call.index !== undefined) this.#byIndex.set(call.index, made);
    this.#know(made);
    this.#calls.push(made);
    this.#queue.push(made);
    return made;
  }

  #unplaced({ id }: SaidCall): Growing | undefined {
    return this.#byId.get(id) ?? this.#calls.at(-1);
  }
}

/** Whether a call is not the one that has its place: engines have given all of them the same. */
function isAnother({ id, name, index, json }: SaidCall, known: Growing): boolean {
  if (id !== "" && id === known.id) return false;
  // Without a place, an id that is new is a call that is new.
  if (index === undefined && id !== "" && known.id !== "") return true;
  if (name === "" || known.name === "") return false;
  // What is not over yet goes on, also where its name, or a new id, comes with every piece.
  if (known.text !== "" && !known.isWhole) return false;
  return id !== "" && known.id !== "" || name !== known.name || known.text !== "" && json !== "";
}

/** The blocks of an answer that came whole; calls without an id have got one. */
export function blocksOf(said: Said, newId: () => string): Block[] {
  const whole: Block[] = [];
  const collected = {
    open: () => "",
    add: () => "",
    close: (block: Block) => `${whole.push(block)}`,
  };
  const blocks = new Blocks(collected, newId);
  blocks.push({ ...said, calls: said.calls.map((call, index) => ({ ...call, index })) });
  blocks.end();
  return whole;
}
