/**
 * Makes `dist/`, measures the root entry as an application's bundler would ship it, and writes the same bundle, to be
 * read by people, to `examples/strandline.js`: the example page imports it, and the server embeds it.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What the root entry may weigh, minified and with gzip. */
const LIMIT = 10_240;

const here = new URL("..", import.meta.url);
const example = new URL("../../examples/strandline.js", here);

/**
 * The root entry as one file.
 * @param {{ minify: boolean }} how
 */
export async function bundle({ minify }) {
  const result = await build({
    absWorkingDir: fileURLToPath(here),
    entryPoints: ["src/index.ts"],
    bundle: true,
    minify,
    format: "esm",
    target: "es2022",
    write: false,
    legalComments: "none",
    banner: minify ? {} : { js: "// Made from clients/js/src by `npm run build` in clients/js: change it there." },
  });
  return /** @type {string} */ (result.outputFiles[0]?.text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(new URL("dist", here), { recursive: true, force: true });
  const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", here));
  execFileSync(process.execPath, [compiler, "-p", fileURLToPath(new URL("tsconfig.json", here))], { stdio: "inherit" });
  const small = await bundle({ minify: true });
  const gzip = gzipSync(small, { level: 9 }).length;
  console.log(`strandline: ${small.length} bytes minified, ${gzip} with gzip, ${brotliCompressSync(small).length} with brotli`);
  if (gzip > LIMIT) throw new Error(`the root entry weighs ${gzip} bytes with gzip; ${LIMIT} is the limit`);
  mkdirSync(new URL(".", example), { recursive: true });
  // Left alone where it is the same: the server embeds it, and cargo would compile that anew after each `npm test`.
  const text = await bundle({ minify: false });
  if (!existsSync(example) || readFileSync(example, "utf8") !== text) writeFileSync(example, text);
}
