import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bundle } from "../scripts/build.js";

test("what is committed is what the build makes", async () => {
  for (const [name, text] of Object.entries(await bundle())) {
    const committed = readFileSync(new URL(`../dist/${name}`, import.meta.url), "utf8");
    assert.ok(committed === text, `run \`npm run build\` and commit dist/${name}`);
  }
});
