import { drawPlot } from './html-plots.js';
import { markup, Markup } from './markup.js';
import type { Report, Section } from './report.js';

const LEVELS = { act: 'Act', look: 'Look', note: 'Note' } as const;

/** Writes the report as one self-contained page: it has no script and loads no font and no picture. */
export function renderHtml(report: Report): string {
  const { title, sections } = report;
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#remarks">Skip to the remarks</a>
<header>
<h1>${title}</h1>
<p class="period">${report.period}</p>
${renderProof(report)}
</header>
<main>
${renderFigures(report)}
${renderRemarks(report)}
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => markup`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
${sections.map(renderSection)}
</main>
<footer><p>Generated from ${report.file}. All times are UTC.</p></footer>
</body>
</html>
`;
  return page.html;
}

function renderProof({ proof: { holds, text, facts } }: Report): Markup {
  const rows = facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return markup`<div class="proof ${holds ? 'holds' : 'unproved'}">
<p><strong>${text}</strong></p>
${facts.length > 0 ? markup`<dl>${rows}</dl>` : ''}
</div>`;
}

function renderFigures({ figures }: Report): Markup {
  const tiles = figures.map(
    ({ name, value, more }) =>
      markup`<div><dt>${name}</dt><dd>${value}${more ? markup`<small>${more}</small>` : ''}</dd></div>`,
  );
  return markup`<dl class="figures">${tiles}</dl>`;
}

function renderRemarks({ remarks }: Report): Markup {
  const items = remarks.map(({ level, text, section }) => {
    const told = section ? markup`<a href="#${section}">${text}</a>` : text;
    return markup`<li class="${level}"><span class="level">${LEVELS[level]}</span> ${told}</li>`;
  });
  return markup`<section id="remarks" aria-labelledby="remarks-title"><h2 id="remarks-title">To look at</h2>
${items.length > 0 ? markup`<ul class="remarks">${items}</ul>` : markup`<p class="empty">Nothing.</p>`}
</section>`;
}

function renderSection(section: Section): Markup {
  const { id, title, note, rows, empty } = section;
  return markup`
<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${note ? markup`<p>${note}</p>` : ''}${rows.length > 0 ? drawPlot(section) : ''}
${rows.length > 0 ? renderTable(section) : markup`<p class="empty">${empty}</p>`}
</section>`;
}

function renderTable({ id, columns, rows }: Section): Markup {
  const getCellClass = (index: number): string => (columns[index]?.numeric ? 'number' : 'text');
  const head = columns.map(({ title }, index) => markup`<th scope="col" class="${getCellClass(index)}">${title}</th>`);
  const body = rows.map((row) => {
    const cells = row.map(
      (cell, index) =>
        markup`<td class="${getCellClass(index)}" data-title="${columns[index]?.title ?? ''}"><span>${cell}</span></td>`,
    );
    return markup`<tr>${cells}</tr>\n`;
  });
  return markup`<div class="scroll" tabindex="0" role="group" aria-labelledby="${id}-title"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody>
</table></div>`;
}

/** Follows the reader's setting for light or dark, and omits on paper the parts for the screen. */
const STYLE = new Markup(`
:root {
  --ground: #f6f7f9; --sheet: #ffffff; --ink: #1a2330; --quiet: #586474; --line: #dbe0e7;
  --s0: #2563b8; --s1: #c2410c; --good: #14724a; --good-ground: #e6f4ec; --bad: #a3211b; --bad-ground: #fdecea;
  --look: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151c; --sheet: #18202a; --ink: #e6eaf0; --quiet: #9aa7b8; --line: #2d3846;
    --s0: #6ea8f7; --s1: #f59e5b; --good: #6fd3a3; --good-ground: #14301f; --bad: #ff9a91; --bad-ground: #3c1917;
    --look: #f0c05a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
header, main, footer { max-width: 60rem; margin: 0 auto; }
h1 { font-size: 1.65rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
a { color: var(--s0); }
:focus-visible { outline: 3px solid var(--s0); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; }
.period, footer, small, .empty, figcaption { color: var(--quiet); }
.period { margin: 0 0 1rem; }
section, .proof { background: var(--sheet); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.25rem; margin: 1rem 0; }
.proof { border-left: 5px solid; } .proof p { margin: 0; }
.holds { border-left-color: var(--good); background: var(--good-ground); } .holds strong { color: var(--good); }
.unproved { border-left-color: var(--bad); background: var(--bad-ground); } .unproved strong { color: var(--bad); }
.proof dl { margin: .6rem 0 0; font-size: .87rem; } .proof dl div { display: flex; gap: .75rem; }
.proof dt { flex: 0 0 5rem; color: var(--quiet); } .proof dd { margin: 0; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.figures div { background: var(--sheet); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; }
.figures dt { color: var(--quiet); font-size: .87rem; } .figures dd { margin: 0; font-size: 1.6rem; font-weight: 650; line-height: 1.25; }
.figures small { display: block; font-size: .82rem; font-weight: 400; }
.remarks { list-style: none; margin: 0; padding: 0; } .remarks li { padding: .2rem 0; }
.level { display: inline-block; min-width: 3.2rem; margin-right: .4rem; padding: 0 .45rem; border: 1px solid; border-radius: 5px; font-size: .8rem; text-align: center; }
.act .level { color: var(--bad); font-weight: 700; } .look .level { color: var(--look); } .note .level { color: var(--quiet); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: 1.25rem 0 0; font-size: .9rem; }
figure { margin: 0 0 1rem; } svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--quiet); font-size: 12px; } svg .end { text-anchor: end; }
.grid { stroke: var(--line); } .hover { fill: transparent; } g:hover .hover { fill: var(--line); opacity: .55; }
rect.s0 { fill: var(--s0); } rect.s1 { fill: var(--s1); }
.key::before { content: ''; display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin: 0 .3em 0 .9em; }
.key.s0::before { background: var(--s0); } .key.s1::before { background: var(--s1); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; white-space: nowrap; } tbody tr:last-child td { border-bottom: 0; }
td { min-width: 4rem; } td:first-child { min-width: 9.5rem; } td:last-child { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
/* On a phone, each row is a list of its cells, with the titles of their columns. */
@media screen and (max-width: 42rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); } tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  tbody tr:last-child { border-bottom: 0; } td, td:first-child { display: flex; gap: 1rem; min-width: 0; padding: .1rem 0; border: 0; }
  td::before { content: attr(data-title); flex: 0 0 7.5rem; color: var(--quiet); } td span { min-width: 0; overflow-wrap: anywhere; }
  .number { text-align: left; white-space: normal; }
}
footer { font-size: .85rem; margin-top: 1.5rem; overflow-wrap: anywhere; }
@media print {
  :root { --ground: #fff; --sheet: #fff; --ink: #000; --quiet: #444; --line: #bbb; --s0: #2563b8; --s1: #c2410c;
    --good: #14724a; --good-ground: #fff; --bad: #a3211b; --bad-ground: #fff; --look: #8a5a00; }
  body { padding: 0; font-size: 10pt; } nav, .skip { display: none; } a { color: inherit; text-decoration: none; }
  section, .proof, .figures div { border-radius: 0; } figure, tr, h2, .figures { break-inside: avoid; } h2 { break-after: avoid; }
  .scroll { overflow: visible; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`);
