/** What a dispatcher gives to each run: the clock, the memory and the bounds that all of them share. */

import type { Clock } from "../base/clock.ts";
import type { Deadlines } from "../base/deadlines.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Route } from "../routing/router.ts";
import type { Circuits } from "./circuits.ts";
import type { Executor } from "./executor.ts";
import type { TaskHistory } from "./history.ts";
import type { CallingLink } from "./remote.ts";
import type { RetryBudget } from "./retry_budget.ts";
import type { ServiceTimeTable } from "./service_times.ts";
import type { RunRequest } from "./run_request.ts";
import type { SilenceWatch } from "./silence.ts";

/** What all runs of a node share. */
export interface RunMeans {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly circuits: Circuits;
  readonly executor: Executor;
  readonly history: TaskHistory;
  readonly times: ServiceTimeTable;
  readonly budget: RetryBudget;
  readonly silence: SilenceWatch;
  readonly deadlines: Deadlines;
  /** The link to a peer, if one is open. */
  readonly link: (nodeId: string) => CallingLink | undefined;
  /**
   * The device for the next attempt; undefined when nobody is left that has not been tried.
   *
   * @throws {NetworkError} `UNAVAILABLE` when no device can do it, tried or not.
   */
  readonly route: (
    request: RunRequest,
    tried: ReadonlySet<string>,
  ) => Route | undefined | Promise<Route | undefined>;
  /** Whether a device that was not tried, and is none of doubt, can do it now. */
  readonly hasAnother: (request: RunRequest, tried: ReadonlySet<string>) => boolean;
  /** Whether no device is to take another one's place any more. */
  readonly isStopped: () => boolean;
}
