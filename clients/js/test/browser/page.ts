/** What the test's page runs: `OfflineSpace` and the vectors, within reach of `page.evaluate`. */

import * as strandline from "../../src/index.ts";
import { runCase } from "../offline/vectors.ts";

Object.assign(globalThis, { strandline, runCase });
