import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// A page of its own, for tests and for eyes: `npx vite gallery` shows it. It is no part of what is shipped.
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  build: { target: "es2022", minify: false, emptyOutDir: true },
});
