// When charts are drawn: one a frame. While one zooms they all change at once, and painting each takes a good part of a
// frame; the others follow in the next ones, with what they show by then.

const waiting = new Map<object, () => void>();
let request = 0;

/** Draws a chart in its turn. If it is waiting already, it keeps its place and draws what it was told last. */
export function drawSoon(chart: object, draw: () => void): void {
  waiting.set(chart, draw);
  request ||= requestAnimationFrame(drawNext);
}

/** Draws it no more, if it is still waiting. */
export function forget(chart: object): void {
  waiting.delete(chart);
}

/** Draws at once what is waiting: paper has no next frame. */
export function drawAll(): void {
  const all = [...waiting.values()];
  waiting.clear();
  for (const draw of all) draw();
}

function drawNext(): void {
  request = 0;
  const [next] = waiting;
  if (!next) return;
  const [chart, draw] = next;
  waiting.delete(chart);
  if (waiting.size > 0) request = requestAnimationFrame(drawNext);
  draw();
}
