import { describe, expect, it } from "vitest";
import { layoutMarkers, type Marked } from "../../src/model/markers";
import { randomNumbers } from "../random";

const spike = (x: number): Marked => ({
  x,
  severity: "warning",
  label: "spike",
  plural: "spikes",
});
const divergence = (x: number): Marked => ({
  x,
  severity: "error",
  label: "diverged",
  plural: "divergences",
});

describe("layoutMarkers", () => {
  it("places a marker at its share of the width", () => {
    const [marker] = layoutMarkers([spike(250)], [0, 1000], 800);
    expect(marker).toMatchObject({
      pixel: 200,
      from: 250,
      to: 250,
      label: "spike",
      labelled: true,
    });
  });

  it("merges near items, says how many, and takes the worst severity", () => {
    const [spikes, mixed] = layoutMarkers(
      [spike(100), spike(101), divergence(501), spike(500)],
      [0, 1000],
      1000,
    );
    expect(spikes).toMatchObject({ label: "2 spikes", severity: "warning", from: 100, to: 101 });
    expect(mixed).toMatchObject({ label: "2 alerts", severity: "error", from: 500, to: 501 });
  });

  it("comes apart when zoomed in", () => {
    expect(layoutMarkers([spike(100), spike(101)], [99, 102], 1000)).toHaveLength(2);
  });

  it("leaves out what is not in the range", () => {
    expect(layoutMarkers([spike(5), spike(50)], [10, 40], 500)).toEqual([]);
  });

  it("drops a label that would run into the next marker or out of the plot", () => {
    const markers = layoutMarkers([spike(0), spike(20), spike(990)], [0, 1000], 1000);
    expect(markers.map((marker) => marker.labelled)).toEqual([false, true, false]);
  });

  it("keeps every item, in order, in few markers, however many there are", () => {
    const random = randomNumbers(4);
    const items = Array.from({ length: 1000 }, () => spike(Math.floor(random() * 1e6)));
    const markers = layoutMarkers(items, [0, 1e6], 1000);
    expect(markers.length).toBeLessThanOrEqual(24);
    const sorted = items.map((item) => item.x).sort((a, b) => a - b);
    expect(markers.flatMap((marker) => marker.items.map((item) => item.x))).toEqual(sorted);
  });

  it("draws nothing on a chart without size", () => {
    expect(layoutMarkers([spike(1)], [0, 2], 0)).toEqual([]);
    expect(layoutMarkers([spike(1)], [1, 1], 100)).toEqual([]);
  });
});
