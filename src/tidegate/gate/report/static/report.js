"use strict";
(() => {
  const ROW = 34;
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const tones = { good: "--good", bad: "--bad", unsure: "--unsure", warned: "--unsure", "": "--accent" };
  const font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";

  const fitted = (context, text, width) => {
    if (context.measureText(text).width <= width) return text;
    let kept = text;
    while (kept.length > 1 && context.measureText(kept + "…").width > width) kept = kept.slice(0, -1);
    return kept + "…";
  };

  const measured = (rows, width) => {
    const context = document.createElement("canvas").getContext("2d");
    context.font = font;
    const most = Math.min(width * 0.38, 260);
    const names = rows.map((row) => fitted(context, row.name, most));
    return { names, size: Math.ceil(Math.max(...names.map((name) => context.measureText(name).width))) + 16 };
  };

  const span = (rows) => {
    const known = rows.flatMap((row) => [row.value, row.low, row.high, row.bound, 0]).filter(Number.isFinite);
    const low = Math.min(...known), high = Math.max(...known), room = (high - low || 1) * 0.08;
    return [low - room, high + room];
  };

  const draw = (chart, rows) => {
    const context = chart.ctx, unit = devicePixelRatio;
    const across = (value) => chart.valToPos(value, "y", true), down = (place) => chart.valToPos(place, "x", true);
    const { left, top, width, height } = chart.bbox;
    const line = (from, to, y0, y1) => { context.beginPath(); context.moveTo(from, y0); context.lineTo(to, y1); context.stroke(); };
    context.save();
    context.lineCap = "round";
    context.lineWidth = 1.5 * unit;
    context.strokeStyle = ink("--soft");
    line(across(0), across(0), top, top + height);
    rows.forEach((row, place) => {
      const y = down(place), cap = 6 * unit, color = ink(tones[row.tone]);
      const low = Number.isFinite(row.low) ? across(row.low) : left, high = Number.isFinite(row.high) ? across(row.high) : left + width;
      context.strokeStyle = context.fillStyle = color;
      context.lineWidth = 2.5 * unit;
      if (row.low !== null || row.high !== null) {
        line(low, high, y, y);
        if (row.low !== null) line(low, low, y - cap, y + cap);
        if (row.high !== null) line(high, high, y - cap, y + cap);
      }
      context.beginPath();
      context.arc(across(row.value), y, 5 * unit, 0, 2 * Math.PI);
      context.fill();
      if (row.bound !== null) {
        context.strokeStyle = ink("--ink");
        context.lineWidth = 2 * unit;
        context.setLineDash([4 * unit, 3 * unit]);
        line(across(row.bound), across(row.bound), y - 13 * unit, y + 13 * unit);
        context.setLineDash([]);
      }
    });
    context.restore();
  };

  const plot = (place) => {
    const { rows, unit } = JSON.parse(place.dataset.plot), width = place.clientWidth;
    const { names, size } = measured(rows, width), [low, high] = span(rows);
    place.replaceChildren();
    const stroke = () => ink("--soft"), grid = { stroke: () => ink("--line"), width: 1 };
    new uPlot({
      width, height: rows.length * ROW + 36, padding: [6, 12, 0, 0],
      legend: { show: false }, cursor: { show: false }, select: { show: false },
      scales: { x: { time: false, ori: 1, dir: -1, range: [-0.6, rows.length - 0.4] }, y: { ori: 0, range: [low, high] } },
      axes: [
        { side: 3, size, font, stroke: () => ink("--ink"), gap: 8, ticks: { show: false }, grid: { show: false },
          splits: () => rows.map((_, at) => at), values: () => names },
        { side: 2, size: 28, font, stroke, grid, ticks: { show: false }, space: 56,
          values: (_, at) => at.map((value) => (value > 0 ? "+" : "") + Number(value.toPrecision(6)) + unit) },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(chart) => draw(chart, rows)] },
    }, [rows.map((_, at) => at), rows.map((row) => row.value)], place);
  };

  const all = [...document.querySelectorAll("[data-plot]")];
  const again = () => all.forEach(plot);
  const widths = new Map();
  const watch = new ResizeObserver((seen) => seen.forEach(({ target, contentRect }) => {
    if (widths.get(target) === contentRect.width) return;
    widths.set(target, contentRect.width);
    plot(target);
  }));
  all.forEach((place) => watch.observe(place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  matchMedia("print").addEventListener("change", again);
})();
