"""What the benchmark of the dashboard runs in the pages it measures. Times are milliseconds since 1970."""

# Resolves, in the frame of the dashboard, with the time of the first frame whose loss chart has lines: a coloured
# pixel, where axes and words are nearly grey.
DRAWN = """
() => new Promise(resolve => {
  const look = () => {
    const canvas = document.querySelector("[data-testid=chart-loss] canvas");
    if (canvas && performance.getEntriesByType("resource").some(each => /series\\?/.test(each.name))) {
      const {data} = canvas.getContext("2d").getImageData(0, canvas.height >> 2, canvas.width, canvas.height >> 1);
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
        if (data[i + 3] > 128 && Math.max(r, g, b) - Math.min(r, g, b) > 60) {
          return resolve(performance.timeOrigin + performance.now());
        }
      }
    }
    requestAnimationFrame(look);
  };
  look();
})
"""

ARRIVED = """
() => performance.timeOrigin + Math.max(...performance.getEntriesByType("resource")
  .filter(each => /timeSeries$/.test(each.name)).map(each => each.responseEnd))
"""

ALL_FOUR = """
() => performance.getEntriesByType("resource").filter(each => /timeSeries$/.test(each.name) && each.responseEnd > 0)
  .length >= 4
"""

CODE = """
() => performance.timeOrigin
  + performance.getEntriesByType("resource").find(each => /index.js/.test(each.name)).responseEnd
"""

CLICK = """
plugin => {
  const now = performance.timeOrigin + performance.now();
  document.querySelector(`[data-plugin-id=${plugin}]`).click();
  return now;
}
"""

RECORD = """
() => {
  window.frameTimes = [];
  let last = performance.now();
  const note = now => {
    window.frameTimes.push(now - last);
    last = now;
    window.noting = requestAnimationFrame(note);
  };
  window.noting = requestAnimationFrame(now => { last = now; window.noting = requestAnimationFrame(note); });
}
"""
