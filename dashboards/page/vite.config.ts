import { createReadStream } from "node:fs";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const elk = fileURLToPath(new URL("node_modules/elkjs/lib/elk-worker.min.js", import.meta.url));
const built = process.env["NAS_PAGE_OUT"] ?? fileURLToPath(new URL("../built", import.meta.url));

/** elkjs brings its worker as one finished file; it is served and shipped as it is. */
function elkWorker(): Plugin {
  return {
    name: "elk-worker",
    configureServer(server) {
      server.middlewares.use("/elk-worker.js", (_request, response) => {
        response.setHeader("Content-Type", "text/javascript");
        createReadStream(elk).pipe(response);
      });
    },
    async closeBundle() {
      if (this.environment?.config.command !== "serve") await copyFile(elk, `${built}/elk-worker.js`);
    },
  };
}

const CARRIED = ["echarts", "zrender", "tslib", "elkjs", "preact"];

/** What the page is made of comes under licences that want to be passed on with it. */
function licences(): Plugin {
  return {
    name: "licences",
    async closeBundle() {
      if (this.environment?.config.command === "serve") return;
      const texts = await Promise.all(CARRIED.map(licenceOf));
      await writeFile(`${built}/licences.txt`, texts.join(`\n${"-".repeat(80)}\n\n`));
    },
  };
}

async function licenceOf(name: string): Promise<string> {
  const folder = fileURLToPath(new URL(`node_modules/${name}/`, import.meta.url));
  const described = JSON.parse(await readFile(`${folder}package.json`, "utf8")) as { version: string; license: string };
  const found = await readdir(folder, { withFileTypes: true });
  const files = found.filter((each) => each.isFile() && /^(license|licence|copying|notice)/i.test(each.name)).map((each) => each.name).sort();
  const texts = await Promise.all(files.map((file) => readFile(`${folder}${file}`, "utf8")));
  const head = `${name} ${described.version}, ${described.license}\nSource: https://www.npmjs.com/package/${name}/v/${described.version}\n`;
  return `${head}\n${texts.join("\n").replaceAll("\r\n", "\n").trim()}\n`;
}

// One script, one style sheet, fixed names and no source map: the result is committed, must be the
// same bytes on every machine, and is embedded whole in a report.
export default defineConfig({
  plugins: [elkWorker(), licences()],
  base: "./",
  build: {
    outDir: built,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      output: {
        format: "es",
        entryFileNames: "app.js",
        assetFileNames: "app[extname]",
      },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
});
