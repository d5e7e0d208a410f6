import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { bundle } from "../scripts/build.js";

test("the example's strandline.js is what the build makes", async () => {
  const committed = readFileSync(new URL("../../../examples/strandline.js", import.meta.url), "utf8");
  assert.equal(committed, await bundle({ minify: false }), "run `npm run build` and commit examples/strandline.js");
});

test("the root entry weighs under 10 KiB with gzip", async () => {
  assert.ok(gzipSync(await bundle({ minify: true })).length < 10_240);
});
