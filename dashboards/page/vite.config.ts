import { createReadStream } from "node:fs";
import { copyFile } from "node:fs/promises";
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

// One script, one style sheet, fixed names and no source map: the result is committed, must be the
// same bytes on every machine, and is embedded whole in a report.
export default defineConfig({
  plugins: [elkWorker()],
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
