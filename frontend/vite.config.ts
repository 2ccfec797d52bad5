import { defineConfig } from "vite";

// One ES module, no hashes: the built file is committed, and CI proves it fresh by building it again.
export default defineConfig({
  build: {
    target: "es2022",
    outDir: "../tb_gradclip/plugin/static",
    emptyOutDir: false,
    lib: { entry: "src/main.tsx", formats: ["es"], fileName: () => "index.js" },
    // Vite keeps the white space of ES libraries for the bundlers of others; this one goes to browsers.
    rolldownOptions: { output: { minify: true } },
  },
  // A library build leaves this to its user; a browser has no `process`.
  define: { "process.env.NODE_ENV": '"production"' },
});
