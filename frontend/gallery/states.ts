// The states in which somebody may meet the dashboard.

import type { Alert, Run } from "../src/api";
import recorded from "../../tests/fixtures/http/runs.json";
import scalars from "../../tests/fixtures/http/scalar_runs.json";
import { run as fixture } from "../test/state/fixtures";
import type { State } from "./answers";

const RATE = { rate: 0.62, low: 0.52, high: 0.71, steps: 100 };

function run(name: string, changes: Partial<Run> = {}): Run {
  return fixture(name, {
    rule: { kind: "global_norm", threshold: 1, low: null, high: null, text: "global norm ≤ 1" },
    parameters: ["embedding.weight", "rnn.weight", "head.weight"],
    steps: 5000,
    last_step: 4999,
    first_wall_time: 1767225600,
    last_wall_time: 1767228100,
    clip_rate: { ...RATE, steps: 5000 },
    recent_clip_rate: RATE,
    throttle: 0.24,
    overhead: 0.004,
    histogram_steps: 100,
    ...changes,
  });
}

function alert(step: number, kind: Alert["kind"], severity: Alert["severity"]): Alert {
  const found = kind === "lint";
  return {
    step,
    wall_time: 1767225600 + step / 2,
    kind,
    severity,
    message: found ? "the threshold was exceeded in each of 1000 steps" : "loss rose from 0.9 to 7",
    parameter: found ? null : "rnn.weight",
    departures: found ? [] : [["rnn.weight", 3]],
    start: null,
    peak: null,
    peak_step: null,
    end: null,
    recovered: false,
    finding: found ? "always_clipped" : null,
    remedy: found ? "Raise it if clipping is meant for outliers." : null,
    computed: false,
  };
}

const UNCLIPPED = {
  rule: { kind: "none", threshold: null, low: null, high: null, text: "none" },
  clip_rate: null,
  recent_clip_rate: null,
  throttle: null,
} as const;
const THREE = [run("lstm/clipped"), run("lstm/tighter"), run("lstm/unclipped", UNCLIPPED)];
const ONE_STEP = { steps: 1, last_step: 0, last_wall_time: 1767225600, histogram_steps: 1 };
/** Of which every step is drawn. */
const SHORT = run("short", { steps: 400, last_step: 399, last_wall_time: 1767225800 });
const NAMES = [
  "a/very/long/name/of/a/run/with/its/date/2026-01-31/and/its/learning-rate/1e-4/seed-000001",
  "<img src=x onerror=alert(1)>",
  "=HYPERLINK(1)",
  "شبكة/عصبية",
];
const PARAMETERS = Array.from(
  { length: 500 },
  (_, i) => `transformer.layers.${i}.attention.weight`,
);
const TROUBLE = [
  ...Array.from({ length: 300 }, (_, i) => alert(100 + i * 16, "spike", "warning")),
  alert(4000, "divergence", "error"),
  alert(4990, "nonfinite", "error"),
  alert(1000, "lint", "warning"),
].sort((a, b) => a.step - b.step);

const TROUBLED = run("troubled", { alerts: TROUBLE, skipped_steps: 12 });
const SEEDS = Array.from({ length: 50 }, (_, i) => run(`sweep/seed-${i}`));
/** Of themselves only the first twenty are selected. */
const ALL_SEEDS = `p.gradclip.runs=${SEEDS.map(({ name }) => encodeURIComponent(name)).join(",")}`;
const scalarsOnly = (scalars.runs as unknown as readonly Run[]).filter((each) => !each.recorded);

const PROBLEMS = [
  { run: "damaged", problem: "3 `steps` records could not be read: they hold 12 bytes too few" },
  { run: "garbage", problem: "1 place could not be read: the event at byte 0 is damaged" },
];
const SEAMS = [1500, 3200].map((step) => ({ step, wall_time: 1767225600 + step / 2 }));

/** All that is asked for once the runs are known. */
function everyRoute(does: "silent" | "fails"): State["broken"] {
  const routes = ["series", "histogram", "histograms", "what_if", "parameters", "flight"];
  return Object.fromEntries(routes.map((route) => [route, does]));
}

export const STATES: Readonly<Record<string, State>> = {
  empty: { runs: [] },
  loading: { runs: [], broken: { runs: "silent" } },
  error: { runs: [], broken: { runs: "fails" } },
  unselected: { runs: THREE, link: "p.gradclip.runs=" },
  three: { runs: THREE },
  recorded: { runs: recorded.runs as unknown as readonly Run[] },
  "scalars-only": { runs: scalarsOnly },
  zoomed: { runs: THREE, link: "p.gradclip.zoom=1000_1400&p.gradclip.smoothing=0.8" },
  smoothed: { runs: [SHORT, run("long")], link: "p.gradclip.smoothing=0.9" },
  "series-loading": { runs: THREE, broken: everyRoute("silent") },
  "series-error": { runs: THREE, broken: everyRoute("fails") },
  "one-point": { runs: [run("new", ONE_STEP)] },
  "all-nan": { runs: [run("broken", { nonfinite_steps: 5000 })], value: () => NaN },
  "no-rule": { runs: [run("free", UNCLIPPED)] },
  "no-histograms": { runs: [run("lean", { histogram_steps: 0 })] },
  sampled: { runs: [run("long", { complete: false }), run("short")] },
  unreadable: { runs: [run("damaged", { complete: false }), run("short")], problems: PROBLEMS },
  resumed: { runs: [run("resumed", { seams: SEAMS }), run("short")] },
  "many-alerts": { runs: [TROUBLED, run("calm")] },
  names: { runs: NAMES.map((name) => run(name, { alerts: [alert(10, "spike", "warning")] })) },
  "alert-selected": { runs: [TROUBLED], link: "p.gradclip.alert=4000%3Adivergence%3Atroubled" },
  "parameter-picked": { runs: THREE, link: "p.gradclip.parameter=rnn.weight" },
  threshold: { runs: THREE, link: "p.gradclip.threshold=1.7" },
  scheduled: { runs: THREE, threshold: (step) => (step < 1000 ? 2 : step < 3000 ? 1 : 0.5) },
  grouped: { runs: SEEDS, link: `${ALL_SEEDS}&p.gradclip.group=seed-%5Cd%2B` },
  "parameters-500": { runs: [run("large", { parameters: PARAMETERS })] },
  "runs-50": { runs: SEEDS, link: ALL_SEEDS },
};
