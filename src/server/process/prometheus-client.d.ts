// The part of @prometheus-io/client that writes the text. The package describes only its root, which loads its own counters,
// timers and OpenTelemetry as well.
declare module '@prometheus-io/client/lib/registry.js' {
  interface Sample {
    labels: Readonly<Record<string, string>>
    value: number
    /** When it differs from the metric's. */
    metricName?: string
  }

  interface RegistryMetric {
    name: string
    help: string
    type: string
    get(): { name: string; help: string; type: string; values: Sample[] }
  }

  class Registry {
    static readonly PROMETHEUS_CONTENT_TYPE: string
    static readonly OPENMETRICS_CONTENT_TYPE: string
    readonly contentType: string
    constructor(contentType: string)
    registerMetric(metric: RegistryMetric): void
    metrics(): Promise<string>
  }

  namespace Registry {
    export type { Sample }
  }

  export = Registry
}
