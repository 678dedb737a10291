import { STYLE } from './html-style.js';
import { drawPlot } from './html-plots.js';
import { markup, type Markup } from './markup.js';
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
    const cells = row.map((cell, index) => markup`<td class="${getCellClass(index)}">${cell}</td>`);
    return markup`<tr>${cells}</tr>\n`;
  });
  return markup`<div class="scroll" tabindex="0" role="group" aria-labelledby="${id}-title"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody>
</table></div>`;
}
