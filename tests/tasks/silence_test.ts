/** Devices that do not answer while they have tasks. */

import { assertEquals } from "@std/assert";
import { Deadlines } from "../../src/base/deadlines.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { TaskHistory } from "../../src/tasks/history.ts";
import { SilenceWatch } from "../../src/tasks/silence.ts";

/** A device with one task, that answers pings as long as the test wants. */
class Rig {
  readonly clock = new ManualClock();
  readonly history = new TaskHistory(this.clock);
  readonly told: string[] = [];
  readonly watch = new SilenceWatch({
    clock: this.clock,
    deadlines: new Deadlines(this.clock),
    attempts: () => this.history.remotes(),
    heartbeatMs: 1_000,
    onSilent: (nodeId) => void this.told.push(`silent ${nodeId}`),
  });
  answers = true;
  pings = 0;
  readonly link = {
    ping: () => {
      this.pings++;
      if (!this.answers) return new Promise<number>(() => {});
      this.link.lastHeard = this.clock.now();
      return Promise.resolve(1);
    },
    lastHeard: 0,
    isSending: false,
  };

  constructor() {
    const task = this.history.begin("01JD", "agent", "normal");
    const onSilence = () => void this.told.push("left");
    task.remote = { nodeId: "b", link: this.link, onSilence };
    this.watch.wake();
  }

  /** Moves time on until something is told, and returns how long that took. */
  async toldAfter(mostMs: number): Promise<number> {
    const begun = this.clock.now();
    while (this.told.length === 0 && this.clock.now() - begun < mostMs) {
      await this.clock.advance(10);
    }
    return this.clock.now() - begun;
  }
}

Deno.test("a device that stops answering is left within 1.2 heartbeats, and not before 0.8", async () => {
  for (let phase = 0; phase < 400; phase += 50) {
    const rig = new Rig();
    await rig.clock.advance(1_000 + phase);
    assertEquals(rig.told, []);
    rig.answers = false;
    const after = await rig.toldAfter(5_000);
    assertEquals(rig.told, ["silent b", "left"]);
    assertEquals(after >= 800 && after <= 1_200, true, `after ${after} ms`);
  }
});

Deno.test("one that is heard is not silent, even when its answers wait", async () => {
  const rig = new Rig();
  rig.answers = false;
  for (let i = 0; i < 50; i++) {
    await rig.clock.advance(100);
    rig.link.lastHeard = rig.clock.now();
  }
  assertEquals(rig.told, []);
});

Deno.test("while much is being sent to it nobody knows whether it is silent", async () => {
  const rig = new Rig();
  rig.answers = false;
  rig.link.isSending = true;
  await rig.clock.advance(5_000);
  assertEquals(rig.told, []);
  rig.link.isSending = false;
  await rig.toldAfter(1_200);
  assertEquals(rig.told.length > 0, true);
});

Deno.test("without tasks elsewhere nobody is pinged", async () => {
  const rig = new Rig();
  await rig.clock.advance(1_000);
  rig.history.get("01JD")!.remote = undefined;
  await rig.clock.advance(200);
  const before = rig.pings;
  await rig.clock.advance(5_000);
  assertEquals(rig.pings, before);
});
