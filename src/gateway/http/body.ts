/** The body of a request as a stream that is read from the connection only as it is wanted. */

import { HttpFault } from "./fault.ts";
import { MAX_HEAD_BYTES } from "./head.ts";
import type { Inbox } from "./inbox.ts";

/** Who wants to know what becomes of a body. */
export interface BodyObserver {
  /** Somebody begins to read. */
  onWanted(): Promise<void>;
  /** The last byte of it has come. */
  onComplete(): void;
}

const PIECE_BYTES = 65_536;
const SIZE_LINE = /^([0-9a-f]{1,8})[\t ]*(;.*)?$/i;
/** The longest line that says how long a chunk is. */
const MAX_SIZE_LINE_BYTES = 1_024;

const LF = 0x0a;
const CRLF_BYTES = 2;

/** See the top of the file. */
export class RequestBody {
  /** What a handler reads. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #inbox: Inbox;
  readonly #observer: BodyObserver;
  readonly #isChunked: boolean;
  #controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  /** Bytes to come: of the body, or of the chunk. */
  #left: number;
  #isWanted = false;
  #isComplete = false;
  #fault: HttpFault | undefined;

  constructor(inbox: Inbox, length: number | "chunked", observer: BodyObserver) {
    this.#inbox = inbox;
    this.#observer = observer;
    this.#isChunked = length === "chunked";
    this.#left = length === "chunked" ? 0 : length;
    this.stream = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(),
    }, { highWaterMark: 0 });
  }

  /** What was wrong with it. */
  get fault(): HttpFault | undefined {
    return this.#fault;
  }

  /** Ends it for whoever reads it. */
  fail(fault: HttpFault): void {
    if (this.#isComplete || this.#fault !== undefined) return;
    this.#fault = fault;
    this.#controller.error(fault);
  }

  /**
   * Whether nothing more of it is on the connection, so that another request can follow. What has
   * come already is thrown away for that.
   */
  skip(): boolean {
    if (!this.#isComplete && !this.#isChunked && this.#left <= this.#inbox.size) {
      this.#inbox.drop(this.#left);
      this.#left = 0;
      this.#isComplete = true;
    }
    return this.#isComplete;
  }

  async #pull(): Promise<void> {
    if (this.#isComplete) return this.#controller.close();
    try {
      if (!this.#isWanted) {
        this.#isWanted = true;
        await this.#observer.onWanted();
      }
      const piece = await this.#next();
      if (this.#fault !== undefined) return;
      if (piece !== undefined) this.#controller.enqueue(piece);
      if (this.#isComplete) {
        this.#controller.close();
        this.#observer.onComplete();
      }
    } catch (thrown) {
      this.fail(thrown instanceof HttpFault ? thrown : ended());
    }
  }

  /** The next bytes of it; undefined when there are none. */
  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#isChunked && this.#left === 0) {
      this.#left = await this.#chunkSize();
      if (this.#left === 0) {
        await this.#skipTrailers();
        this.#isComplete = true;
        return undefined;
      }
    }
    await this.#need(1);
    const piece = this.#inbox.take(Math.min(this.#left, PIECE_BYTES));
    this.#left -= piece.length;
    if (this.#left > 0) return piece;
    if (!this.#isChunked) this.#isComplete = true;
    else if (await this.#line(CRLF_BYTES) !== "") throw new HttpFault(400, "a chunk is too long.");
    return piece;
  }

  async #chunkSize(): Promise<number> {
    const size = SIZE_LINE.exec(await this.#line(MAX_SIZE_LINE_BYTES))?.[1];
    if (size === undefined) throw new HttpFault(400, "a chunk does not say how long it is.");
    return parseInt(size, 16);
  }

  async #skipTrailers(): Promise<void> {
    for (let left = MAX_HEAD_BYTES;;) {
      const { length } = await this.#line(left);
      if (length === 0) return;
      left -= length + CRLF_BYTES;
    }
  }

  /** The next line without its end. */
  async #line(maxBytes: number): Promise<string> {
    for (let looked = 0;;) {
      const { bytes } = this.#inbox;
      const end = bytes.indexOf(LF, looked);
      looked = bytes.length;
      if (end === -1 && looked < maxBytes) {
        await this.#need(looked + 1);
        continue;
      }
      const line = String.fromCharCode(...bytes.subarray(0, end + 1));
      if (end >= maxBytes || !line.endsWith("\r\n")) {
        throw new HttpFault(400, "its chunks are not told apart as they must be.");
      }
      this.#inbox.drop(line.length);
      return line.slice(0, -CRLF_BYTES);
    }
  }

  async #need(count: number): Promise<void> {
    while (this.#inbox.size < count) if (!await this.#inbox.fill()) throw ended();
  }
}

function ended(): HttpFault {
  return new HttpFault(400, "the connection ended within its body.");
}
