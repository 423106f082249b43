/** Who has to go when too many come: never those who may be there for those whom nobody knows. */

import { assertEquals } from "@std/assert";
import {
  GRACE_MS,
  type Guest,
  MAX_KNOWN,
  MAX_NEWCOMERS,
  MAX_STRANGERS,
  Seats,
  THRIFT_MS,
  THRIFTY_STRANGERS,
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

const closed = (guests: TestGuest[]) => guests.filter(({ isClosed }) => isClosed).length;

Deno.test("the stranger who has been there longest goes when there are too many", () => {
  let dismissed = 0;
  const seats = new Seats<TestGuest>(() => dismissed++);
  const guests = enter(seats, MAX_STRANGERS);
  seats.trim(GRACE_MS);
  assertEquals(closed(guests), 0);
  enter(seats, 2, GRACE_MS);
  seats.trim(GRACE_MS);
  assertEquals(guests.map(({ isClosed }) => isClosed).slice(0, 3), [true, true, false]);
  assertEquals([seats.count().stranger, dismissed], [MAX_STRANGERS, 2]);
});

Deno.test("a stranger who has just come is left the time to say what it wants, if there is room", () => {
  const seats = newSeats();
  const guests = enter(seats, MAX_STRANGERS + MAX_NEWCOMERS, 1_000);
  seats.trim(1_000 + GRACE_MS - 1);
  assertEquals(closed(guests), 0);
  enter(seats, 1, 1_005);
  seats.trim(1_000 + GRACE_MS - 1);
  assertEquals(closed(guests), 1);
  seats.trim(1_000 + GRACE_MS);
  assertEquals(seats.count().stranger, MAX_STRANGERS);
});

Deno.test("however many strangers come, nobody goes who may be there", () => {
  const seats = newSeats();
  const [answering, idle] = enter(seats, 2);
  for (const guest of [answering, idle]) seats.seat(guest);
  seats.release(idle);
  for (let now = GRACE_MS; now < 1_000; now++) {
    enter(seats, 1, now - GRACE_MS);
    seats.trim(now);
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

Deno.test("one that asks again before it has its answer takes a place for each", () => {
  const seats = newSeats();
  const [one, other] = enter(seats, 2);
  for (let i = 0; i < MAX_KNOWN; i++) assertEquals(seats.seat(one), true);
  assertEquals([seats.seat(one), seats.seat(other)], [false, false]);
  seats.release(one);
  assertEquals([seats.seat(other), seats.count()], [true, { stranger: 0, idle: 0, answering: 2 }]);
  seats.leave(one);
  seats.release(one);
  for (let i = 1; i < MAX_KNOWN; i++) assertEquals(seats.seat(other), true);
  assertEquals(seats.seat(other), false);
});

Deno.test("without file descriptors only the last stranger stays, and half of those who are idle", () => {
  const seats = newSeats();
  const known = enter(seats, 20);
  for (const guest of known) seats.seat(guest);
  for (const guest of known.slice(0, 10)) seats.release(guest);
  const strangers = enter(seats, 40);
  seats.thin(0);
  assertEquals([closed(strangers), closed(known.slice(0, 5)), closed(known)], [39, 5, 5]);
  assertEquals(strangers.at(-1)!.isClosed, false);
  assertEquals(seats.count(), { stranger: 1, idle: 5, answering: 10 });
});

Deno.test("after that few strangers may be there for a minute", () => {
  const seats = newSeats();
  const room = (now: number) => {
    enter(seats, MAX_STRANGERS * 2, now - GRACE_MS);
    seats.trim(now);
    return seats.count().stranger;
  };
  seats.thin(0);
  assertEquals(room(1_000), THRIFTY_STRANGERS);
  seats.thin(2_000);
  assertEquals(room(1_999 + THRIFT_MS), THRIFTY_STRANGERS);
  assertEquals(room(2_000 + THRIFT_MS), MAX_STRANGERS);
});
