// The table of the article whose API this service serves: a simple JSON API under load, on unstated hardware.

export interface ArticleRow {
  framework: string
  /** Name among the measured servers. */
  server: string
  requestsPerSecond: number
  p99Ms: number
  idleMemoryMb: number
}

export const ARTICLE: readonly ArticleRow[] = [
  { framework: 'Axum', server: 'axum', requestsPerSecond: 420_000, p99Ms: 0.8, idleMemoryMb: 12 },
  {
    framework: 'Actix-web',
    server: 'actix-web',
    requestsPerSecond: 450_000,
    p99Ms: 0.7,
    idleMemoryMb: 11,
  },
  { framework: 'Gin', server: 'gin', requestsPerSecond: 280_000, p99Ms: 1.2, idleMemoryMb: 18 },
  {
    framework: 'FastAPI',
    server: 'fastapi',
    requestsPerSecond: 45_000,
    p99Ms: 5,
    idleMemoryMb: 65,
  },
  {
    framework: 'Spring Boot',
    server: 'spring-boot',
    requestsPerSecond: 95_000,
    p99Ms: 3,
    idleMemoryMb: 280,
  },
  {
    framework: 'Express',
    server: 'express',
    requestsPerSecond: 85_000,
    p99Ms: 3.5,
    idleMemoryMb: 55,
  },
]

/** The framework to which both tables give ratios, because the hardware differs. */
export const REFERENCE = 'express'
