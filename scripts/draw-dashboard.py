"""Draws the dashboard as an SVG from what a Prometheus knows: draw-dashboard.py DASHBOARD PROMETHEUS SECONDS >FILE

It asks each panel's own queries and draws what comes, for docs. It is not Grafana: the layout, titles, queries, units and legends are the
dashboard's, the look is ours.
"""

import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from html import escape

CELL, ROW, WIDTH, GAP = 46, 25, 24 * 46, 4
COLOURS = "#73bf69 #f2cc0c #5794f2 #ff9830 #f2495c #b877d9 #8ab8ff #96d98d #ffee52 #ffb357 #ff7383 #ca95e5".split()
UNTIL = "Redis and the process"  # what comes from this row on is left out


def ask(base, path, **parameters):
    url = f"http://{base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def query_of(expression):
    expression = expression.replace("$__rate_interval", "20s")
    return re.sub(r"\$\{?\w+\}?", ".*", expression)


def legend_of(form, labels):
    text = re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m[1], ""), form or "")
    return re.sub(r"^telemetry/streamkeeper ?", "", text).strip() or "streamkeeper"


def written(value, unit):
    if value is None or math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        for name in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or name == "GiB":
                return f"{value:.3g} {name}"
            value /= 1024
    if unit == "s":
        for size, name, limit in ((1e-6, "µs", 1e-3), (1e-3, "ms", 1), (1, "s", 120)):
            if abs(value) < limit:
                return f"{value / size:.3g} {name}" if value else "0 s"
        return f"{value / 60:.3g} min"
    if abs(value) >= 10000:
        return f"{value / 1000:.3g} K"
    return f"{value:.3g}"


def text(x, y, content, size=11, colour="#ccccdc", anchor="start", weight="normal"):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>'


def stat(panel, x, y, w, h, base, end):
    unit = panel["fieldConfig"]["defaults"].get("unit")
    results = [(t, r) for t in panel["targets"] for r in ask(base, "query", query=query_of(t["expr"]), time=end)]
    if not results:
        return [text(x + w / 2, y + h / 2 + 12, "no data", 14, "#8e8e99", "middle")]
    target, first = results[0]
    value = float(first["value"][1])
    shown = written(value, unit)
    for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
        shown = mapping.get("options", {}).get(f"{value:g}", {}).get("text", shown)
    if panel.get("options", {}).get("textMode") == "name":
        shown = legend_of(target.get("legendFormat"), first["metric"])
    size = 24 if len(shown) < 9 else 13
    return [text(x + w / 2, y + h / 2 + 14, shown, size, "#73bf69", "middle", "bold")]


def series_of(panel, base, begin, end):
    step, all_series = max(1, round((end - begin) / 90)), []
    for target in panel["targets"]:
        for r in ask(base, "query_range", query=query_of(target["expr"]), start=begin, end=end, step=step):
            points = [(float(t), float(v)) for t, v in r["values"] if not math.isnan(float(v)) and not math.isinf(float(v))]
            if points:
                all_series.append((legend_of(target.get("legendFormat"), r["metric"]), points))
    return all_series


def overriding(panel, name, prop):
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        if re.fullmatch(override["matcher"]["options"], name):
            for p in override["properties"]:
                if p["id"] == prop:
                    return p["value"]
    return None


def plot(panel, x, y, w, h, base, begin, end):
    unit = panel["fieldConfig"]["defaults"].get("unit")
    all_series = series_of(panel, base, begin, end)
    if not all_series:
        return [text(x + w / 2, y + h / 2, "nothing to show", 11, "#8e8e99", "middle")]
    rows = min(4, len(all_series))
    left, right, top, bottom = x + 46, x + w - 8, y + 26, y + h - 20 - 13 * rows
    sides = {s: [p for n, ps in all_series if (overriding(panel, n, "custom.axisPlacement") == "right") == s for p in ps] for s in (False, True)}
    if sides[True]:
        right -= 30
    out, highest = [], {s: max([v for _, v in ps] + [0]) or 1 for s, ps in sides.items()}
    for share in (0, 0.5, 1):
        at = bottom - share * (bottom - top)
        out.append(f'<line x1="{left}" y1="{at:.0f}" x2="{right}" y2="{at:.0f}" stroke="#2c3235"/>')
        out.append(text(left - 4, at + 4, written(share * highest[False], unit), 9, "#8e8e99", "end"))
        if sides[True]:
            out.append(text(right + 3, at + 4, written(share * highest[True], "none"), 9, "#8e8e99"))
    for share in (0, 0.5, 1):
        label = time.strftime("%H:%M:%S", time.gmtime(begin + share * (end - begin)))
        out.append(text(left + share * (right - left), bottom + 12, label, 9, "#8e8e99", ("start", "middle", "end")[int(2 * share)]))
    for i, (name, points) in enumerate(all_series):
        side = overriding(panel, name, "custom.axisPlacement") == "right"
        line = " ".join(f"{left + (t - begin) / (end - begin) * (right - left):.1f},{bottom - v / highest[side] * (bottom - top):.1f}" for t, v in points)
        dashed = ' stroke-dasharray="5 3"' if overriding(panel, name, "custom.lineStyle") else ""
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="1.4"{dashed}/>')
        if i < rows:
            at = bottom + 25 + 13 * i
            more = f"  (and {len(all_series) - rows} more)" if i == rows - 1 and len(all_series) > rows else ""
            out.append(f'<line x1="{x + 8}" y1="{at - 4:.0f}" x2="{x + 20}" y2="{at - 4:.0f}" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="3"/>')
            most = int(w / 5.4) - 8 - len(more)
            out.append(text(x + 24, at, (name if len(name) <= most else name[: most - 1] + "…") + more, 9.5))
    return out


def main():
    dashboard, base, seconds = json.load(open(sys.argv[1], encoding="utf-8")), sys.argv[2], int(sys.argv[3])
    end = time.time()
    begin = end - seconds
    out, height = [], 0
    for panel in dashboard["panels"]:
        if panel["title"] == UNTIL:
            break
        g = panel["gridPos"]
        x, y, w, h = g["x"] * CELL, g["y"] * ROW + 8, g["w"] * CELL, g["h"] * ROW
        height = max(height, y + h)
        if panel["type"] == "row":
            out.append(text(x + 8, y + 18, "▾ " + panel["title"], 13, weight="bold"))
            continue
        out.append(f'<rect x="{x + GAP / 2}" y="{y + GAP / 2}" width="{w - GAP}" height="{h - GAP}" rx="2" fill="#181b1f" stroke="#25272c"/>')
        out.append(text(x + 8, y + 17, panel["title"], 11.5, weight="bold"))
        out += stat(panel, x, y, w, h, base, end) if panel["type"] == "stat" else plot(panel, x, y, w, h, base, begin, end)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 8}" font-family="Inter, Helvetica, Arial, sans-serif">')
    print(f'<rect width="{WIDTH}" height="{height + 8}" fill="#111217"/>')
    print("\n".join(out))
    print("</svg>")


main()
