/** Examples of the documentation, run as they are written there. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

/** The JavaScript examples of a page, which is named from the package's root. */
export function examplesOf(page: string): string[] {
  return [...readFileSync(new URL(page, root), "utf8").matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code as string);
}

/**
 * Runs an example until it has printed what is looked for, and gives all that it has printed. Only the server's address
 * is another one than it says. `strandline` is the package as it was built.
 */
export async function runExample(code: string, url: string, enough: (printed: string) => boolean): Promise<string> {
  const elsewhere = `const real = fetch; globalThis.fetch = (url, init) => real(url.replace("http://127.0.0.1:7878", ${JSON.stringify(url)}), init);`;
  const preload = `data:text/javascript,${encodeURIComponent(elsewhere)}`;
  const child = spawn(process.execPath, ["--import", "fake-indexeddb/auto", "--import", preload, "--input-type=module"], {
    cwd: fileURLToPath(root),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end(code);
  let printed = "";
  const timer = setTimeout(() => child.kill(), 60_000);
  for await (const piece of child.stdout) {
    printed += piece;
    if (enough(printed)) break;
  }
  clearTimeout(timer);
  child.kill();
  await ended;
  return printed;
}
