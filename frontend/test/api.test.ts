import { afterEach, describe, expect, it, vi } from "vitest";
import { fetchHistogram, fetchRuns, HttpError, seriesArguments } from "../src/api";
import { decodeSeries } from "../src/framing";
import { seriesBody } from "./series_body";

const LOSS = { run: "a", column: "loss", fields: ["step", "wall_time", "value"], total: 3000 };
const RATE = { ...LOSS, column: "clip_rate", fields: [...LOSS.fields, "low", "high"] };

describe("decodeSeries", () => {
  it("gives every field of every series its own numbers, in order", () => {
    const body = seriesBody([
      {
        ...LOSS,
        values: [
          [0, 1],
          [100, 101],
          [2.5, NaN],
        ],
      },
      { ...RATE, values: [[7], [107], [0.5], [0.25], [0.75]] },
    ]);
    const [loss, rate] = decodeSeries(body);
    expect([...(loss?.step ?? [])]).toEqual([0, 1]);
    expect([...(loss?.wall_time ?? [])]).toEqual([100, 101]);
    expect([...(loss?.value ?? [])]).toEqual([2.5, NaN]);
    expect(loss?.low).toBeNull();
    expect(loss?.total).toBe(3000);
    expect([...(rate?.low ?? [])]).toEqual([0.25]);
    expect([...(rate?.high ?? [])]).toEqual([0.75]);
  });

  it("keeps infinities, negative zero and the last bit", () => {
    const values = [Infinity, -Infinity, -0, 0.1 + 0.2, Number.MIN_VALUE];
    const steps = values.map((_, i) => i);
    const [loss] = decodeSeries(seriesBody([{ ...LOSS, values: [steps, steps, values] }]));
    expect([...(loss?.value ?? [])]).toEqual(values);
  });

  it("reads run names beyond ASCII, whatever padding they need", () => {
    for (const run of ["a", "äh", "läuft 🚀", "長い名前", "x".repeat(13)]) {
      const [loss] = decodeSeries(seriesBody([{ ...LOSS, run, values: [[1], [2], [3]] }]));
      expect(loss?.run).toBe(run);
      expect(loss?.value[0]).toBe(3);
    }
  });

  it("accepts a reply without rows and one without series", () => {
    expect(decodeSeries(seriesBody([]))).toEqual([]);
    const [loss] = decodeSeries(seriesBody([{ ...LOSS, values: [[], [], []] }]));
    expect(loss?.value).toHaveLength(0);
  });

  it("refuses a body that was cut off", () => {
    const body = seriesBody([{ ...LOSS, values: [[1], [2], [3]] }]);
    expect(() => decodeSeries(body.slice(0, -8))).toThrow("expected 24 bytes, got 16");
    expect(() => decodeSeries(body.slice(0, 10))).toThrow("does not fit");
    expect(() => decodeSeries(new ArrayBuffer(2))).toThrow("shorter");
  });

  it("refuses a series that lacks a field", () => {
    const body = seriesBody([{ ...LOSS, fields: ["step", "value"], values: [[1], [2]] }]);
    expect(() => decodeSeries(body)).toThrow("a loss has no field wall_time");
  });
});

describe("seriesArguments", () => {
  it("repeats runs and columns, and leaves the bounds out for a whole run", () => {
    const query = {
      runs: ["a&b=c", "ü"],
      columns: ["loss", "clip_rate"],
      points: 800,
      axis: "relative",
      window: 100,
      loss: null,
      range: null,
    } as const;
    expect(seriesArguments(query).toString()).toBe(
      "run=a%26b%3Dc&run=%C3%BC&column=loss&column=clip_rate&points=800&axis=relative&window=100",
    );
    const zoomed = seriesArguments({ ...query, range: [0.5, 12] });
    expect([zoomed.get("from"), zoomed.get("to")]).toEqual(["0.5", "12"]);
    expect(seriesArguments({ ...query, loss: "train/loss" }).get("loss")).toBe("train/loss");
  });
});

describe("requests", () => {
  afterEach(() => vi.unstubAllGlobals());
  const answer = (response: Response) => {
    const fetched = vi.fn(() => Promise.resolve(response));
    vi.stubGlobal("fetch", fetched);
    return fetched;
  };

  it("are relative, so that they work under any path prefix", async () => {
    const fetched = answer(Response.json({ schema: 1, runs: [] }));
    expect(await fetchRuns()).toEqual({ runs: [], problems: [] });
    expect(fetched).toHaveBeenCalledWith("runs", {});
  });

  it("name a loss only when one is picked", async () => {
    const fetched = answer(Response.json({ schema: 1, runs: [] }));
    await fetchRuns("train/loss");
    expect(fetched).toHaveBeenLastCalledWith("runs?loss=train%2Floss", {});
  });

  it("take a run that does not say its overhead as one where it is not known", async () => {
    const runs = [{ name: "a", overhead: 0.004 }, { name: "b", overhead: null }, { name: "c" }];
    answer(Response.json({ schema: 1, runs }));
    expect((await fetchRuns()).runs.map((run) => run.overhead)).toEqual([0.004, null, null]);
  });

  it("name a parameter only when one is picked", async () => {
    const fetched = answer(Response.json({ step: 600 }));
    await fetchHistogram("a/b", 612, null, null).catch(() => undefined);
    expect(fetched).toHaveBeenLastCalledWith("histogram?run=a%2Fb&step=612", {});
    await fetchHistogram("a", 0, "w 1", null).catch(() => undefined);
    expect(fetched).toHaveBeenLastCalledWith("histogram?run=a&step=0&parameter=w+1", {});
  });

  it("ask for a histogram within a stretch whose end may not be known yet", async () => {
    const fetched = answer(Response.json({ step: 600 }));
    await fetchHistogram("a", 612, null, [600, 640]).catch(() => undefined);
    expect(fetched).toHaveBeenLastCalledWith("histogram?run=a&step=612&from=600&to=640", {});
    await fetchHistogram("a", 612, null, [0, null]).catch(() => undefined);
    expect(fetched).toHaveBeenLastCalledWith("histogram?run=a&step=612&from=0", {});
  });

  it("fail with the server's own words", async () => {
    answer(new Response("no run named 'x'", { status: 404 }));
    await expect(fetchRuns()).rejects.toThrow(HttpError);
    answer(new Response("", { status: 502 }));
    await expect(fetchRuns()).rejects.toThrow("The server answered 502.");
  });
});
