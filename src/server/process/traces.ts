// Runs in listeners. What the settings mean for traces.
import { hostname } from 'node:os'
import type { Address } from '../../db/address.ts'
import type { Config } from '../config/config.ts'
import { namedValues } from '../config/kinds.ts'
import type { Logger } from '../observe/log.ts'
import type { Traces } from '../observe/traces.ts'
import { VERSION } from '../root.ts'

/** Nothing, and nothing is loaded, unless a collector is set. */
export async function openTraces(
  config: Config,
  database: Address,
  log: Logger,
): Promise<Traces | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = config
  if (endpoint === undefined) return undefined
  const traces = await import('../observe/traces.ts')
  return traces.openTraces({
    url: `${endpoint}/v1/traces`,
    headers: namedValues.parse(headers?.reveal() ?? '')?.value ?? {},
    resource: resourceOf(config),
    scope: { name: 'taskapi', version: VERSION },
    sampler: config.OTEL_TRACES_SAMPLER,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    database: databaseAttributes(database),
    log,
  })
}

/** By the specification, the name of the service has a setting of its own, which wins. */
function resourceOf({ OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME }: Config) {
  return {
    'service.version': VERSION,
    'host.name': hostname(),
    'process.pid': process.pid,
    ...OTEL_RESOURCE_ATTRIBUTES,
    'service.name': OTEL_SERVICE_NAME,
  }
}

/** Of several hosts, a statement's is not known. */
function databaseAttributes({ hosts: [host, ...others], database }: Address) {
  const isKnown = host && others.length === 0
  return {
    'db.system.name': 'postgresql',
    'db.namespace': database,
    ...(isKnown ? { 'server.address': host.name, 'server.port': host.port } : {}),
  }
}
