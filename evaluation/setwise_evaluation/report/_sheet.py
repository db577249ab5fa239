"""How the page looks: on a screen, light or dark, and on paper."""

from __future__ import annotations

__all__ = ["SHEET"]

# Figures have a white ground of their own, so they stand on a white card in the dark. Contrasts are at least 7 : 1 for
# text and 4.5 : 1 for links and what is small.
SHEET = """
:root { --ground: #ffffff; --ink: #1d1f21; --soft: #55595e; --line: #d5d8dc; --band: #f4f5f7; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17191c; --ink: #e8e9eb; --soft: #b4b8bd; --line: #3b4046; --band: #212429; --link: #86bdf5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 70rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .4rem; }
p, nav, ul { max-width: 44rem; }
ul { padding-left: 1.25rem; }
a { color: var(--link); }
a:focus-visible, .wide:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { position: static; }
section { margin-top: 3rem; padding-top: 1.75rem; border-top: 2px solid var(--line); }
figure { margin: 1.75rem 0; }
figure img { display: block; width: 100%; max-width: 56rem; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
figcaption, caption { color: var(--soft); font-size: .93rem; max-width: 46rem; text-align: left; }
figcaption { margin-top: .5rem; }
caption { padding-bottom: .5rem; }
.files { white-space: nowrap; }
.files::before { content: "["; } .files::after { content: "]"; }
.wide { overflow-x: auto; margin: 1.75rem 0; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 2px solid var(--soft); vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:nth-child(even) { background: var(--band); }
.left { text-align: left; } .right { text-align: right; } .short, .right { white-space: nowrap; }
.interval { display: block; color: var(--soft); font-size: .88em; }
dl { margin: .25rem 0; font-size: .93rem; columns: 20rem; column-gap: 2.5rem; }
dl div { display: flex; gap: .75rem; padding: .16rem 0; border-bottom: 1px solid var(--line); break-inside: avoid; }
dt { flex: 0 0 10rem; color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem;
  white-space: pre-wrap; }
code { font: .9rem/1.5 ui-monospace, "DejaVu Sans Mono", "Liberation Mono", monospace; }
summary { cursor: pointer; margin-top: .75rem; }
@media print {
  :root { --ground: #fff; --ink: #000; --soft: #333; --line: #aaa; --band: #f2f2f2; --link: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  section { break-before: page; border: 0; padding-top: 0; }
  section:first-of-type { break-before: auto; }
  figure, table, pre, dl { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  nav, .skip { display: none; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
}
"""
