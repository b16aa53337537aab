// The panels of the shipped dashboard, as Grafana would ask Prometheus for them.
import { readFile } from 'node:fs/promises'
import { pathOf } from './prometheus.ts'

interface Source {
  type: string
  uid: string
}

export interface Panel {
  id: number
  title: string
  description: string
  type: 'stat' | 'timeseries' | 'row'
  datasource: Source
  targets: { expr: string; legendFormat: string; datasource: Source }[]
  gridPos: { x: number; y: number; w: number; h: number }
  fieldConfig: { defaults: { unit: string; custom?: { stacking: { mode: string } } } }
}

/** @param interval in place of Grafana's, such as `10s` */
export async function readPanels(interval: string): Promise<Panel[]> {
  const { panels } = await readDashboard()
  return panels
    .filter(({ type }) => type !== 'row')
    .map((panel) => ({
      ...panel,
      targets: panel.targets.map((target) => ({
        ...target,
        expr: target.expr.replaceAll('$__rate_interval', interval).replaceAll('$instance', '.+'),
      })),
    }))
}

export async function readDashboard(): Promise<{
  panels: Panel[]
  templating: { list: { name: string; type: string }[] }
}> {
  return JSON.parse(await readFile(pathOf('grafana-dashboard.json'), 'utf8'))
}
