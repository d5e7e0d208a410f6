/**
 * Makes `dist/app.js` and `dist/app.css`, which are committed: the server embeds them, and whoever builds it needs no Node.
 * The licences of the libraries inside stand at the end of the script.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What the script may weigh with gzip: it is fetched once, from the machine next door. */
const LIMIT = 122_880;

const here = new URL("..", import.meta.url);
const root = fileURLToPath(here);

/** The files of `dist/` by name. */
export async function bundle() {
  const result = await build({
    absWorkingDir: root,
    entryPoints: { app: "src/main.ts", style: "src/style.css" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    outdir: "dist",
    metafile: true,
    legalComments: "none",
  });
  const text = (/** @type {string} */ name) => result.outputFiles.find(({ path }) => path.endsWith(name))?.text ?? "";
  const made = "/* Made from dashboard/src by `npm run build` in dashboard: change it there. */\n";
  const inputs = Object.values(result.metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
  return { "app.js": made + text("app.js") + licences(used), "app.css": made + text("style.css") };
}

/**
 * The licences of the packages that these files are of, each text once.
 * @param {string[]} files
 */
function licences(files) {
  const packages = new Set(files.map((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter((name) => name !== undefined));
  /** @type {Map<string, string[]>} */
  const texts = new Map();
  for (const name of [...packages].sort()) {
    const folder = `${root}node_modules/${name}`;
    const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : `Licence: ${license}`;
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
  }
  const parts = [...texts].map(([text, names]) => `${names.join(", ")}\n\n${text}`);
  return `\n/*\nIt contains these libraries:\n\n${parts.join("\n\n---\n\n").replaceAll("*/", "* /")}\n*/\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await bundle();
  const gzip = gzipSync(files["app.js"], { level: 9 }).length;
  console.log(`dashboard: ${files["app.js"].length} bytes of script, ${gzip} with gzip`);
  if (gzip > LIMIT) throw new Error(`the script weighs ${gzip} bytes with gzip; ${LIMIT} is the limit`);
  mkdirSync(new URL("dist", here), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const path = `${root}dist/${name}`;
    // Left alone where it is the same: cargo would compile the server anew after each `npm test`.
    if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text);
  }
}
