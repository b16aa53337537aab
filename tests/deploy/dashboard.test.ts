// The shipped dashboard, as Grafana would load it.
import { expect, test } from 'vitest'
import { type Panel, readDashboard } from './dashboard.ts'

const GRID_COLUMNS = 24

const { panels, templating } = await readDashboard()

test('the panels lie in rows, without a gap and without one above another', () => {
  const taken = new Set<string>()
  for (const { gridPos, title } of panels) {
    for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        expect(taken, title).not.toContain(`${x} ${y}`)
        taken.add(`${x} ${y}`)
      }
    }
  }
  const height = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h))
  expect(taken.size).toBe(height * GRID_COLUMNS)
})

test('each panel has its own id, says what it shows, and asks the Prometheus that is chosen', () => {
  expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
    ['datasource', 'datasource'],
    ['instance', 'query'],
  ])
  const ids = panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const panel of panels.filter(({ type }) => type !== 'row')) checkPanel(panel)
})

function checkPanel({ title, description, datasource, targets }: Panel): void {
  expect(description, title).toMatch(/\.$/)
  for (const asked of [datasource, ...targets.map((target) => target.datasource)]) {
    expect(asked, title).toEqual({ type: 'prometheus', uid: '${datasource}' })
  }
}
