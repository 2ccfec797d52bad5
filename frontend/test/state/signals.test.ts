import { beforeEach, describe, expect, it, vi } from "vitest";
import { DEFAULTS, type Settings } from "../../src/model/link";
import { FIRST_SELECTED } from "../../src/model/own_choice";
import { applySettings, settings } from "../../src/state/settings";
import {
  chosen,
  colours,
  focus,
  fullRange,
  listedRuns,
  lossChoice,
  parameter,
  recordedRuns,
  runs,
  search,
  selectedNames,
  selectListed,
  selectOnly,
  setAxis,
  setFocus,
  shownRange,
  toggleRun,
  zoom,
  zoomTo,
} from "../../src/state/signals";
import { run } from "./fixtures";

const A = run("a", { rule: { kind: "none", threshold: null, low: null, high: null, text: "" } });
const B = run("b", { last_step: 200, last_wall_time: 1300 });
const C = run("c", { first_step: 50, first_wall_time: 2000, last_wall_time: 2010 });

beforeEach(() => {
  applySettings(DEFAULTS);
  runs.value = [A, B, C];
});

describe("selection", () => {
  it("starts with all runs, but not with more than a chart can show", () => {
    expect([...selectedNames.value]).toEqual(["a", "b", "c"]);
    runs.value = Array.from({ length: 50 }, (_, i) => run(`r${i}`));
    expect(selectedNames.value.size).toBe(FIRST_SELECTED);
  });

  it("keeps those that are shown when a new run comes before them", () => {
    const many = Array.from({ length: FIRST_SELECTED + 5 }, (_, i) => run(`b${10 + i}`));
    runs.value = many;
    const before = [...selectedNames.value];
    runs.value = [run("a"), ...many];
    expect([...selectedNames.value]).toEqual(before);
    runs.value = [run("a"), ...many.slice(1)];
    expect(selectedNames.value).toEqual(new Set(["a", ...before.slice(1)]));
  });

  it("toggles one run and leaves the others", () => {
    toggleRun("b");
    expect([...selectedNames.value]).toEqual(["a", "c"]);
    toggleRun("b");
    expect(selectedNames.value.has("b")).toBe(true);
  });

  it("shows one run alone, and all listed ones at the second click", () => {
    selectOnly("b");
    expect([...selectedNames.value]).toEqual(["b"]);
    selectOnly("b");
    expect(selectedNames.value.size).toBe(3);
  });

  it("checks and unchecks what the filter lists, and nothing else", () => {
    search.value = "[ab]";
    expect(listedRuns.value).toEqual([A, B]);
    selectListed(false);
    expect([...selectedNames.value]).toEqual(["c"]);
    selectListed(true);
    expect(selectedNames.value.size).toBe(3);
  });

  it("includes runs that appear later while the choice is ours, and not once the user chose", () => {
    runs.value = [A, B, C, run("d")];
    expect(selectedNames.value.has("d")).toBe(true);
    toggleRun("a");
    runs.value = [A, B, C, run("d"), run("e")];
    expect(selectedNames.value.has("e")).toBe(false);
  });

  it("does not change colours", () => {
    const before = new Map(colours.value);
    selectOnly("c");
    expect(new Map(colours.value)).toEqual(before);
  });
});

describe("colours", () => {
  it("are the same for those who saw the runs come and for those who open the page later", async () => {
    const all = Array.from({ length: 8 }, (_, i) => run(`r${7 - i}`, { first_wall_time: i }));
    vi.resetModules();
    const late = await import("../../src/state/signals");
    late.runs.value = [...all].reverse();
    vi.resetModules();
    const early = await import("../../src/state/signals");
    for (let known = 1; known <= all.length; known++) {
      early.runs.value = all.slice(0, known).reverse();
      expect(early.colours.value.size).toBe(known);
    }
    expect(new Map(early.colours.value)).toEqual(new Map(late.colours.value));
  });
});

describe("horizontal axis", () => {
  it("covers what the selected runs cover, on each axis", () => {
    expect(fullRange.value).toEqual([0, 200]);
    setAxis("relative");
    expect(fullRange.value).toEqual([0, 300]);
    setAxis("wall_time");
    expect(fullRange.value).toEqual([1000, 2010]);
  });

  it("has room around a single step", () => {
    runs.value = [run("one", { last_step: 0, steps: 1 })];
    expect(fullRange.value).toEqual([-0.5, 0.5]);
  });

  it("keeps the zoom within what there is", () => {
    zoomTo([-50, 50]);
    expect(zoom.value).toEqual([0, 100]);
    zoomTo([190, 260]);
    expect(zoom.value).toEqual([130, 200]);
  });

  it("does not zoom below two steps, and zooming out to everything is no zoom", () => {
    zoomTo([100, 100]);
    expect(zoom.value).toEqual([99, 101]);
    zoomTo([-1000, 1000]);
    expect(zoom.value).toBeNull();
    expect(shownRange.value).toEqual(fullRange.value);
  });

  it("forgets the zoom when it measures something else", () => {
    zoomTo([10, 20]);
    setAxis("relative");
    expect(zoom.value).toBeNull();
  });

  it("keeps the zoom while a run grows", () => {
    zoomTo([10, 20]);
    runs.value = [A, { ...B, last_step: 400, steps: 401 }, C];
    expect(shownRange.value).toEqual([10, 20]);
  });
});

describe("runs of which only scalars are known", () => {
  const plain = (name: string) =>
    run(name, {
      recorded: false,
      histogram_steps: 0,
      loss: {
        tag: "loss",
        points: 101,
        first_step: -50,
        last_step: 400,
        first_wall_time: 1000,
        last_wall_time: 1400,
        choices: ["loss", "val_loss"],
      },
    });

  it("give way to recorded ones where there are too many", () => {
    runs.value = [...Array.from({ length: 30 }, (_, i) => plain(`a${i}`)), run("z")];
    expect(selectedNames.value.has("z")).toBe(true);
    expect(selectedNames.value.size).toBe(FIRST_SELECTED);
    expect(recordedRuns.value.map(({ name }) => name)).toEqual(["z"]);
  });

  it("never have the focus", () => {
    runs.value = [plain("a"), run("b", { histogram_steps: 0 })];
    setFocus("a");
    expect(focus.value?.name).toBe("b");
    runs.value = [plain("a")];
    expect(focus.value).toBeNull();
  });

  it("widen the axis to all of their loss", () => {
    runs.value = [plain("a"), A];
    expect(fullRange.value).toEqual([-50, 400]);
    setAxis("relative");
    expect(fullRange.value).toEqual([0, 400]);
  });

  it("offer their scalars as long as they are listed or selected", () => {
    expect(lossChoice.value).toBeNull();
    runs.value = [plain("a"), A];
    expect(lossChoice.value?.map(({ tag }) => tag)).toEqual([null, "loss", "val_loss"]);
    toggleRun("a");
    search.value = "b";
    expect(lossChoice.value).toBeNull();
  });
});

describe("focus", () => {
  it("stays when a run that would be the first comes, and goes to one with distributions", () => {
    runs.value = [run("m", { histogram_steps: 0 })];
    expect(focus.value?.name).toBe("m");
    runs.value = [run("m", { histogram_steps: 0 }), run("n")];
    expect(focus.value?.name).toBe("n");
    runs.value = [run("a"), run("m"), run("n")];
    expect(focus.value?.name).toBe("n");
  });

  it("is on the first run that clips, until the user picks one", () => {
    expect(focus.value?.name).toBe("b");
    setFocus("c");
    expect(focus.value?.name).toBe("c");
  });

  it("moves on when its run is unchecked", () => {
    setFocus("c");
    toggleRun("c");
    expect(focus.value?.name).toBe("b");
    chosen.value = new Set();
    expect(focus.value).toBeNull();
  });

  it("drops the parameter, which another run may not have", () => {
    parameter.value = "w";
    setFocus("a");
    expect(parameter.value).toBeNull();
  });
});

it("settings are what was applied", () => {
  const link: Settings = {
    ...{ runs: new Set(["b"]), search: "b", axis: "relative", window: 7, smoothing: 0.5 },
    ...{ group: "(.)", scales: { loss: "log", norm: "linear" }, zoom: [3, 9], step: 4 },
    ...{ spans: { loss: "most", norm: "most" }, focus: "b", threshold: 2, loss: "l" },
    ...{ parameter: "w", quantity: "norm", alert: { run: "b", step: 1, kind: "spike" } },
    ...{ zclip: true, code: "keras", parameterSearch: "w", alertKind: "spike" },
    ...{ parameterSort: { key: "norm", descending: true }, alertOrder: "severity" },
  };
  for (const [key, value] of Object.entries(DEFAULTS)) {
    expect(link[key as keyof Settings], key).not.toEqual(value); // or it would not be tested
  }
  applySettings(link);
  expect(settings.value).toEqual(link);
});
