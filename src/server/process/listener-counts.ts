// Runs in listeners when ADMIN_PORT is set. Reads what the listener has counted.
import type { Family } from '../../stats/families.ts'
import { readFamilies } from './metric.ts'
import { LISTENER_METRICS, type ListenerSource } from './metrics-table.ts'
import { Vitals } from './vitals.ts'

/** Begins to watch the process, and makes the function that reads its metrics. */
export function openCounts(source: Omit<ListenerSource, 'vitals'>): () => Family[] {
  const watched = { ...source, vitals: new Vitals() }
  return () => readFamilies(LISTENER_METRICS, watched)
}
