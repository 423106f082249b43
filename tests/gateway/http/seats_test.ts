/** Who has to go when too many come: never those who may be there for those whom nobody knows. */

import { assertEquals } from "@std/assert";
import {
  GRACE_MS,
  type Guest,
  MAX_KNOWN,
  MAX_STRANGERS,
  Seats,
  THRIFT_MS,
} from "../../../src/gateway/http/seats.ts";

class TestGuest implements Guest {
  readonly since: number;
  isClosed = false;

  constructor(since: number) {
    this.since = since;
  }

  close(): void {
    this.isClosed = true;
  }
}

function newSeats(): Seats<TestGuest> {
  return new Seats(() => {});
}

function enter(seats: Seats<TestGuest>, count: number, since = 0): TestGuest[] {
  const guests = Array.from({ length: count }, () => new TestGuest(since));
  for (const guest of guests) seats.enter(guest);
  return guests;
}

/** The event loop comes round twice, at that time. */
function turn(seats: Seats<TestGuest>, now: number): void {
  seats.turned(now);
  seats.turned(now);
}

const closed = (guests: TestGuest[]) => guests.filter(({ isClosed }) => isClosed).length;

Deno.test("the stranger who has been there longest goes when there are too many", () => {
  let dismissed = 0;
  const seats = new Seats<TestGuest>(() => dismissed++);
  const guests = enter(seats, MAX_STRANGERS - 1);
  turn(seats, GRACE_MS);
  assertEquals([seats.makeRoom(GRACE_MS), closed(guests)], [undefined, 0]);
  guests.push(...enter(seats, 1));
  assertEquals([seats.makeRoom(GRACE_MS), closed(guests)], [undefined, 1]);
  assertEquals(guests[0].isClosed, true);
  assertEquals([seats.makeRoom(GRACE_MS), closed(guests)], [undefined, 1]);
  assertEquals(dismissed, 1);
});

Deno.test("a stranger who has just come is left the time to say what it wants", () => {
  const seats = newSeats();
  const guests = enter(seats, MAX_STRANGERS, 1_000);
  turn(seats, 1_005);
  assertEquals(seats.makeRoom(1_005), GRACE_MS - 5);
  assertEquals(closed(guests), 0);
});

Deno.test("when that time is over, what came while the process was busy is read before it goes", () => {
  const seats = newSeats();
  const guests = enter(seats, MAX_STRANGERS);
  seats.turned(5);
  // Then it was busy.
  seats.turned(500);
  assertEquals([seats.makeRoom(500), closed(guests)], [0, 0]);
  seats.turned(501);
  assertEquals([seats.makeRoom(501), closed(guests)], [undefined, 1]);
});

Deno.test("however many strangers come, nobody goes who may be there", () => {
  const seats = newSeats();
  const [answering, idle] = enter(seats, 2);
  for (const guest of [answering, idle]) seats.seat(guest);
  seats.release(idle);
  for (let now = GRACE_MS; now < 1_000; now++) {
    turn(seats, now);
    assertEquals(seats.makeRoom(now), undefined);
    enter(seats, 1, now - GRACE_MS);
  }
  assertEquals([answering.isClosed, idle.isClosed], [false, false]);
  assertEquals(seats.count(), { stranger: MAX_STRANGERS, idle: 1, answering: 1 });
});

Deno.test("one that is let in takes the place of the one that has been idle longest", () => {
  const seats = newSeats();
  const guests = enter(seats, MAX_KNOWN);
  for (const guest of guests) seats.seat(guest);
  for (const guest of [guests[7], guests[3]]) seats.release(guest);
  const [next] = enter(seats, 1);
  assertEquals([seats.seat(next), closed(guests)], [true, 1]);
  assertEquals(guests[7].isClosed, true);
  assertEquals(seats.count(), { stranger: 0, idle: 1, answering: MAX_KNOWN - 1 });
});

Deno.test("when all are being answered there is no place, but those who have one keep it", () => {
  const seats = newSeats();
  const guests = enter(seats, MAX_KNOWN);
  for (const guest of guests) seats.seat(guest);
  const [next] = enter(seats, 1);
  assertEquals([seats.seat(next), seats.count().stranger], [false, 1]);
  seats.release(guests[0]);
  assertEquals([seats.seat(guests[0]), closed(guests)], [true, 0]);
});

Deno.test("without file descriptors half of those go who are not being answered", () => {
  const seats = newSeats();
  const known = enter(seats, 20);
  for (const guest of known) seats.seat(guest);
  for (const guest of known.slice(0, 10)) seats.release(guest);
  const strangers = enter(seats, 40);
  seats.thin(0);
  assertEquals(seats.count(), { stranger: 20, idle: 5, answering: 10 });
  assertEquals(strangers.slice(0, 20).every(({ isClosed }) => isClosed), true);
});

Deno.test("after that fewer strangers may be there for a minute, and never none", () => {
  const seats = newSeats();
  const room = (now: number) => {
    enter(seats, MAX_STRANGERS, now - GRACE_MS);
    turn(seats, now);
    seats.makeRoom(now);
    return seats.count().stranger + 1;
  };
  seats.thin(0);
  assertEquals(room(1_000), MAX_STRANGERS / 2);
  for (let i = 0; i < 10; i++) seats.thin(2_000);
  assertEquals(room(3_000), MAX_STRANGERS / 8);
  assertEquals(room(1_999 + THRIFT_MS), MAX_STRANGERS / 8);
  assertEquals(room(2_000 + THRIFT_MS), MAX_STRANGERS);
});
