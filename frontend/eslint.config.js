import tseslint from "typescript-eslint";

// Lower layers never import higher ones: views -> state -> api, host, model; views -> charts -> model.
// theme.ts is a leaf that everybody may use.
const forbid = (files, folders) => ({
  files,
  rules: {
    "no-restricted-imports": [
      "error",
      { patterns: folders.map((folder) => ({ group: [folder], message: "Not down the layers." })) },
    ],
  },
});

export default tseslint.config(
  { ignores: ["node_modules"] },
  ...tseslint.configs.strict,
  ...tseslint.configs.stylistic,
  {
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-module-boundary-types": "off",
      "@typescript-eslint/prefer-for-of": "off", // an ArrayLike cannot be iterated
      "max-lines": ["error", { max: 250 }],
      "max-lines-per-function": ["error", { max: 40, skipBlankLines: true, skipComments: true }],
      eqeqeq: ["error", "always", { null: "ignore" }],
    },
  },
  { files: ["test/**"], rules: { "max-lines-per-function": "off" } }, // a `describe` is one function
  forbid(
    ["src/model/**"],
    [
      ...["**/api", "**/api_*", "**/embedded*", "**/host", "**/take_away", "**/theme"],
      ...["**/state/**", "**/charts/**", "**/views/**"],
    ],
  ),
  forbid(
    ["src/charts/**"],
    [
      ...["**/api", "**/api_*", "**/embedded*", "**/host", "**/take_away"],
      ...["**/state/**", "**/views/**"],
    ],
  ),
  forbid(["src/state/**"], ["**/charts/**", "**/views/**"]),
  forbid(
    [
      ...["src/api.ts", "src/api_*.ts", "src/embedded*.ts", "src/framing.ts", "src/host.ts"],
      ...["src/take_away.ts", "src/theme.ts"],
    ],
    ["**/state/**", "**/charts/**", "**/views/**"],
  ),
  {
    files: ["src/**"],
    ignores: ["src/charts/plot.ts"],
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { paths: ["uplot"] }] },
  },
  {
    files: ["src/**"],
    ignores: ["src/api.ts"],
    rules: { "no-restricted-globals": ["error", "fetch"] },
  },
);
