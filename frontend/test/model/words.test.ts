import { describe, expect, it } from "vitest";
import {
  alertLabel,
  alertTitle,
  blameWords,
  chips,
  computedWords,
  episodeWords,
  isEvent,
  isMarked,
  lintWords,
  type Finding,
  type HealthAlert,
} from "../../src/model/health";
import {
  clippingWords,
  overheadWords,
  provenanceWords,
  tallyWords,
  turnWords,
  type Provenance,
} from "../../src/model/words";

const alert = (kind: HealthAlert["kind"], step: number, severity: HealthAlert["severity"]) => ({
  kind,
  step,
  severity,
  message: kind === "nonfinite" ? "loss is NaN" : "loss rose",
  computed: false,
});

describe("chips", () => {
  it("name a single alert with its step and count several", () => {
    const alerts = [
      alert("spike", 10, "warning"),
      alert("spike", 20, "info"),
      alert("divergence", 612, "error"),
      alert("nonfinite", 1846, "error"),
    ];
    expect(chips(alerts)).toEqual([
      {
        text: "diverged 612",
        severity: "error",
        first: { kind: "divergence", step: 612 },
        computed: false,
      },
      {
        text: "NaN 1,846",
        severity: "error",
        first: { kind: "nonfinite", step: 1846 },
        computed: false,
      },
      {
        text: "2 spikes",
        severity: "warning",
        first: { kind: "spike", step: 10 },
        computed: false,
      },
    ]);
  });

  it("say that nothing happened", () => {
    expect(chips([])).toEqual([{ text: "none", severity: "ok", first: null, computed: false }]);
  });

  it("are lighter where all they sum up was computed afterwards", () => {
    const computed = { ...alert("spike", 10, "warning"), computed: true };
    const diverged = { ...alert("divergence", 20, "error"), computed: true };
    const all = chips([computed, alert("spike", 30, "warning"), diverged]);
    expect(all.map((chip) => chip.computed)).toEqual([true, false]);
  });
});

it("alerts are named by what their message says", () => {
  expect(alertLabel({ kind: "nonfinite", message: "norm is inf" })).toBe("Inf");
  expect(alertLabel({ kind: "nonfinite", message: "gradient overflowed" })).toBe("non-finite");
  expect(alertTitle("divergence")).toBe("Divergence");
});

it("computedWords say what was computed from", () => {
  expect(computedWords({ tag: "train/loss", points: 1000 })).toBe(
    "Computed from the points of train/loss that TensorBoard kept (1,000 of the run)",
  );
});

it("episodeWords tell how it went on", () => {
  const open = {
    kind: "divergence",
    start: 1200,
    peak: 14.61,
    peak_step: 1207,
    end: null,
    recovered: false,
  };
  expect(episodeWords(open)).toBe("Peak 14.6 at step 1,207, not back so far");
  expect(episodeWords({ ...open, end: 1250, recovered: true })).toContain("back at step 1,250");
  expect(episodeWords({ ...open, end: 1700 })).toContain("taken for the new level at step 1,700");
  expect(episodeWords({ ...open, kind: "spike" })).toBeNull();
  expect(episodeWords({ ...open, kind: "regime", start: null })).toBeNull();
  const broken = { ...open, kind: "nonfinite", peak: null, peak_step: null };
  expect(episodeWords(broken)).toBe("Not over so far");
  expect(episodeWords({ ...broken, end: 1300, recovered: true })).toBe("Over at step 1,300");
});

it("blameWords name who went first, when, and who followed", () => {
  expect(blameWords("spike", [])).toBeNull();
  expect(blameWords("spike", [["rnn", 0]])).toEqual({
    label: "First to rise",
    first: "rnn",
    rest: "",
  });
  const four = [
    ["rnn", 3],
    ["b", 1],
    ["c", 1],
    ["d", 0],
  ] as const;
  expect(blameWords("nonfinite", four)).toEqual({
    label: "First not finite",
    first: "rnn",
    rest: ", 3 steps before, then b, c and 1 more",
  });
});

describe("clippingWords", () => {
  const words = (kind: string, coefficient: number | null, clipped: number | null) =>
    clippingWords({ rule: { kind, text: "" }, coefficient, clipped, before: { size: 30 } });

  it("describe each rule in its own terms", () => {
    expect(words("none", null, null)).toContain("not clipped");
    expect(words("global_norm", 0.39, null)).toBe("every gradient × 0.39");
    expect(words("global_norm", 1, null)).toContain("nothing changed");
    expect(words("norm", null, null)).toContain("own factor");
    expect(words("value", null, 12)).toBe("12 of 30 gradients cut to the limits (40\u202f%)");
    expect(words("value", null, 0)).toBe("no gradient reached the limits");
  });
});

it("turnWords give the angle where there is one to speak of", () => {
  expect(turnWords(Math.cos((12 * Math.PI) / 180))).toBe("the whole gradient turned by 12°");
  expect(turnWords(-1.0000001)).toBe("the whole gradient turned by 180°");
  expect(turnWords(0.99999)).toBeNull();
  expect(turnWords(null)).toBeNull();
});

it("tallyWords point at what is not finite", () => {
  const tally = { size: 40, zero: 10, nan: 2, positive_infinity: 1, negative_infinity: 2 };
  expect(tallyWords(tally)).toEqual([
    { text: "40 gradients", bad: false },
    { text: "zero 25\u202f%", bad: false },
    { text: "NaN 2", bad: true },
    { text: "Inf 3", bad: true },
  ]);
});

describe("overheadWords", () => {
  it("leave a small cost without comment", () => {
    expect(overheadWords(0.004)).toEqual({ text: "0.4\u202f%", title: undefined, bad: false });
    expect(overheadWords(0.0002).text).toBe("<0.1\u202f%");
    expect(overheadWords(0).text).toBe("0\u202f%");
    expect(overheadWords(0.05).bad).toBe(false);
  });

  it("say what to do about a large one", () => {
    const { text, title, bad } = overheadWords(0.12);
    expect([text, bad]).toEqual(["12\u202f%", true]);
    expect(title).toContain("Raise histogram_every");
    expect(overheadWords(0.0501).bad).toBe(true);
  });

  it("say why there is none", () => {
    const { text, title, bad } = overheadWords(null);
    expect([text, bad]).toEqual(["–", false]);
    expect(title).toContain("compiled graph");
  });
});

describe("provenanceWords", () => {
  it("say whose gradients norms are of, and in which types", () => {
    const whole: Provenance = {
      dtypes: ["bfloat16", "float32"],
      replicas: 1,
      gradients: "whole",
      imported: null,
    };
    expect(provenanceWords(whole)).toEqual({
      note: null,
      title:
        "Norms of the gradients that the optimizer is given: accumulated over micro-batches, free of a loss scale (bfloat16, float32)",
    });
    expect(provenanceWords({ ...whole, replicas: 4 }).note).toBe("4 replicas");
    const replica: Provenance = { ...whole, dtypes: [], replicas: 2, gradients: "replica" };
    const { note, title } = provenanceWords(replica);
    expect(note).toBe("replica 1 of 2");
    expect(title).toBe(
      "Each replica clips before gradients are put together: norms are those of the first one's own",
    );
  });

  it("say that somebody else logged them", () => {
    const imported = { text: "imported from state.json: norms of single steps" };
    const words = provenanceWords({ dtypes: [], replicas: 1, gradients: "whole", imported });
    expect(words).toEqual({
      note: "imported",
      title: "Imported from state.json: norms of single steps",
    });
  });
});

describe("lintWords", () => {
  const finding = (name: string, severity: Finding["severity"]): Finding => ({
    ...alert("lint", 1999, severity),
    finding: name,
    message: "the clip call found no gradient",
    remedy: "Clip after backward.",
  });
  const event = { ...alert("spike", 10, "error"), finding: null, remedy: null };

  it("name a single finding and say what to do", () => {
    expect(lintWords([event, finding("no_gradient", "warning")])).toEqual({
      text: "no gradient",
      severity: "warning",
      sentences: ["Step 1,999: the clip call found no gradient. Clip after backward."],
    });
  });

  it("count several and take the worst severity", () => {
    const words = lintWords([finding("always_clipped", "info"), finding("no_gradient", "warning")]);
    expect(words).toMatchObject({ text: "2 findings", severity: "warning" });
    expect(words?.sentences).toHaveLength(2);
  });

  it("are silent where nothing was found, and findings are neither events nor chips", () => {
    expect(lintWords([event])).toBeNull();
    expect(isEvent(event)).toBe(true);
    expect(isMarked(event)).toBe(true);
    expect(isMarked({ ...event, kind: "regime" })).toBe(false);
    expect(isEvent(finding("no_gradient", "warning"))).toBe(false);
    expect(chips([finding("no_gradient", "warning")])).toMatchObject([{ text: "none" }]);
  });
});
