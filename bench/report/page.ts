// The report as one HTML page that loads no other file.
import type { Table } from './format.ts'
import { NOTES, type Report, reportFacts, reportTables } from './report.ts'

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1f2933 }
  table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
  th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #d9e2ec; white-space: nowrap }
  th:first-child, td:first-child { text-align: left; font-weight: 600 }
  section { overflow-x: auto }
  svg { max-width: 100%; height: auto }
  dt { font-weight: 600; float: left; min-width: 6rem } dd { margin-left: 7rem }`

export function renderHtml(report: Report, charts: ReadonlyMap<string, string>): string {
  const facts = reportFacts(report).map(
    ([name, value]) => `<dt>${escape(name)}</dt><dd>${inline(value)}</dd>`,
  )
  const tables = reportTables(report)
  // The goals come before the charts, as they come before everything else in the Markdown.
  const goals = tables.slice(0, report.goals.length > 0 ? 1 : 0)
  const others = tables.slice(goals.length)
  const notes = NOTES.map((note) => `<li>${inline(note)}</li>`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>taskapi: benchmark report</title>
<style>${STYLE}</style>
<h1>taskapi: benchmark report</h1>
<dl>${facts.join('')}</dl>
${goals.map(section).join('\n')}
${[...charts.values()].map((svg) => `<section>${svg}</section>`).join('\n')}
${others.map(section).join('\n')}
<h2>How to read it</h2>
<ul>${notes.join('')}</ul>
</html>
`
}

function section({ title, about, head, rows }: Table): string {
  const cells = (tag: string, line: string[]) =>
    `<tr>${line.map((cell) => `<${tag}>${inline(cell)}</${tag}>`).join('')}</tr>`
  const body = rows.map((line) => cells('td', line)).join('')
  return `<h2>${inline(title)}</h2><p>${inline(about)}</p><section><table>${cells('th', head)}${body}</table></section>`
}

/** Escapes the text, and turns the little Markdown that the report's cells use into HTML. */
function inline(text: string): string {
  return escape(text)
    .replaceAll(/`([^`]*)`/g, '<code>$1</code>')
    .replaceAll(/\*\*([^*]*)\*\*/g, '<strong>$1</strong>')
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
