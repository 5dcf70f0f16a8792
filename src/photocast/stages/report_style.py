# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The look of ``report.html``, light and dark, on a screen of any width and on paper."""

__all__ = ["REPORT_STYLE"]

REPORT_STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #1b1f24; --soft: #5b6570; --line: #dfe3e8;
  --good: #146c3a; --good-back: #e2f4e8; --bad: #a3161a; --bad-back: #fde7e7;
  --note: #7a4d00; --note-back: #fff3d6; --bar: #3a6ea5; --code: #eef1f4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1d2125; --ink: #e8ebee; --soft: #a3adb7; --line: #333a41;
    --good: #7fd6a0; --good-back: #16321f; --bad: #ff9c9c; --bad-back: #421d1f;
    --note: #ffd27a; --note-back: #3a2d10; --bar: #7fb0e0; --code: #2a3036;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; color: var(--soft); }
h3:first-of-type { margin-top: 0; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.25rem; margin-top: 1.25rem; overflow-x: auto;
}
.summary { color: var(--soft); margin: .4rem 0 0; }
.badge { border-radius: 999px; padding: .15rem .8rem; font-weight: 600; white-space: nowrap; }
.passed, .pass { color: var(--good); background: var(--good-back); }
.failed, .fail { color: var(--bad); background: var(--bad-back); }
.warn { color: var(--note); background: var(--note-back); }
.issues article + article { border-top: 1px solid var(--line); margin-top: 1.25rem;
  padding-top: 1.25rem; }
.issues h3 { color: var(--ink); font-size: 1rem; margin: 0 0 .35rem; }
.issues p { margin: .25rem 0 .5rem; }
.charts { display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
.charts figure + figure { margin-top: 0; }
svg { width: 100%; height: auto; }
svg rect { fill: var(--bar); } svg line { stroke: var(--soft); }
svg text { fill: var(--soft); font-size: 11px; }
.checks a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: .2em; }
.glossary dl { margin: 0; font-size: .9rem; columns: 22rem 2; column-gap: 2rem; }
.glossary dt { font-weight: 600; break-after: avoid; } .glossary dd { margin: 0 0 .6rem; }
.warnings { background: var(--note-back); border-color: transparent; }
.warnings h2 { color: var(--note); }
.warnings ul { margin: 0; padding-left: 1.2rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1rem;
  margin: 0; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 0; }
figure + figure { margin-top: 1.25rem; }
img { display: block; max-width: 100%; height: auto; border-radius: 8px; }
.turntable img { width: 384px; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: baseline; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; padding-right: 1.5rem; white-space: nowrap; }
table.checks { table-layout: fixed; min-width: 40rem; }
table.checks th:first-child { width: 38%; } table.checks .value { width: 20%; }
table.checks .limit { width: 14%; } table.checks td { overflow-wrap: anywhere; }
p.aside { margin: .6rem 0 0; }
table.views { width: auto; min-width: 55%; }
.aside { display: block; color: var(--soft); font-size: .85rem; font-weight: 400; }
.mark { font-weight: 600; }
.mark.passed, .mark.failed, .mark.warn { border-radius: 6px; padding: .05rem .5rem;
  white-space: nowrap; }
.mark.info { color: var(--soft); font-weight: 400; }
.time td.bar { width: 55%; padding-right: 0; }
.time .fill { display: block; height: .65rem; min-width: 2px; border-radius: 4px;
  background: var(--bar); }
code { background: var(--code); border-radius: 4px; padding: .05rem .35rem; font-size: .85em;
  overflow-wrap: anywhere; }
details summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: .75rem; }
footer { color: var(--soft); font-size: .85rem; margin-top: 1.5rem; }
@media print {
  body { background: none; font-size: 12px; } main { max-width: none; padding: 0; }
  section { border-radius: 0; overflow: visible; }
  img { max-height: 16cm; width: auto; }
  figure, tr, article, dt { break-inside: avoid; } h2, h3, thead { break-after: avoid; }
  .glossary { break-before: page; }
}
"""
