// compose.yaml and deploy/kubernetes.yaml. No engine and no cluster runs here: what is checked is that they are what either
// takes, and the facts that they share with the image, the settings and the proxy's file.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { parseConfig } from '../../src/server/config/config.ts'
import { SETTINGS } from '../../src/server/config/settings.ts'
import { planMemory } from '../../src/server/process/memory.ts'
import { hasProxy, PROXIES } from '../edge/proxy-server.ts'
import { readConfig, readStages } from './dockerfile.ts'
import { findComposeMistakes, findKubernetesMistakes } from './schemas.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const IMAGE = await readImage()
const SECRETS = {
  DATABASE_URL: 'postgres://user:password@host/database',
  JWT_SECRET: 'a secret for tests, of 32 bytes or more',
}
/** A quarter of the memory, and the young generation: see `--max-old-space-size-percentage` in the Dockerfile. */
const HEAP_SHARE = 0.25
const YOUNG_MIB = 6

interface Variable {
  name: string
  valueFrom?: { secretKeyRef: { name: string } }
}

async function readImage() {
  const final = (await readStages(`${ROOT}Dockerfile`)).at(-1)
  if (!final) throw new Error('The Dockerfile has no stages')
  return readConfig(final)
}

async function readCompose() {
  return parse(await readFile(`${ROOT}compose.yaml`, 'utf8'), { merge: true })
}

/** The objects of the file, by their kind. */
async function readKubernetes() {
  const documents = parseAllDocuments(await readFile(`${ROOT}deploy/kubernetes.yaml`, 'utf8'))
  for (const { errors } of documents) expect(errors).toEqual([])
  return Object.fromEntries(
    documents.map((each) => each.toJS()).map((object) => [object.kind, object]),
  )
}

/** Fails unless every variable is a setting that accepts its value, and the memory is enough. */
function checkNode(variables: Record<string, string>, memoryMib: number): void {
  const env = { ...SECRETS, ...IMAGE.env, ...variables }
  const config = parseConfig(env)
  for (const name of Object.keys(variables)) expect(config).toHaveProperty(name)
  const heap = memoryMib * HEAP_SHARE + YOUNG_MIB
  expect(planMemory(config, { memory: memoryMib, heap }).advice).toBeUndefined()
}

test('compose.yaml is what the specification of Compose takes', async () => {
  const compose = await readCompose()
  expect(findComposeMistakes(compose)).toEqual([])
  compose.services.haproxy.restrat = 'always'
  compose.services.postgres.environment = 5432
  const mistakes = findComposeMistakes(compose).join('\n')
  expect(mistakes).toContain('/services/haproxy must NOT have additional properties')
  expect(mistakes).toContain('"restrat"')
  expect(mistakes).toContain('/services/postgres/environment must be')
})

test('kubernetes.yaml is what the API of Kubernetes takes', { timeout: 60_000 }, async () => {
  expect(await findKubernetesMistakes(Object.values(await readKubernetes()))).toBe('')
})

test.each([
  ['terminationGracePeriodSeconds', 'terminationGracePeriod', "in type 'PodSpec'"],
  ['periodSeconds":10', 'periodSeconds":"10"', "'string' is not assignable to type 'number'"],
  ['apps/v1', 'apps/v9', 'Cannot find module'],
  ['selector', 'select', "does not exist in type 'DeploymentSpec'"],
])(
  'a mistake in kubernetes.yaml is found: %s written as %s',
  { timeout: 60_000 },
  async (...words) => {
    const [right, wrong, mistake] = words
    const text = JSON.stringify((await readKubernetes()).Deployment)
    expect(text).toContain(right)
    const object = JSON.parse(text.replace(right, wrong))
    expect(await findKubernetesMistakes([object])).toContain(mistake)
  },
)

test('the nodes of compose.yaml have settings that exist, and memory that is enough', async () => {
  const { services } = await readCompose()
  expect(Object.keys(services).sort()).toEqual(['haproxy', 'node1', 'node2', 'postgres'])
  for (const node of [services.node1, services.node2]) {
    expect(node).toMatchObject({ build: '.', image: 'taskapi', read_only: true, cap_drop: ['ALL'] })
    expect(Object.keys(node.environment)).toEqual(expect.arrayContaining(Object.keys(SECRETS)))
    checkNode({ ...node.environment, ...SECRETS }, Number.parseInt(node.mem_limit, 10))
  }
  const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = services.postgres.environment
  expect(services.node1.environment.DATABASE_URL).toBe(
    `postgres://${POSTGRES_USER}:${POSTGRES_PASSWORD}@postgres/${POSTGRES_DB}`,
  )
})

test.skipIf(!hasProxy('haproxy'))(
  'what compose.yaml makes of the file for HAProxy names both nodes, and HAProxy takes it',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskapi-compose-'))
    const file = join(folder, 'haproxy.cfg')
    const [script] = (await readCompose()).services.haproxy.command
    const { binary } = PROXIES.haproxy
    const here = String(script)
      .replaceAll('/deploy/', `${ROOT}deploy/`)
      .replaceAll('/tmp/haproxy.cfg', file)
      .replace('exec haproxy -W -db', `exec ${binary} -c`)
    await run('/bin/sh', ['-c', here])
    expect(existsSync(file)).toBe(true)
    const servers = (await readFile(file, 'utf8')).match(/^ +server node.*:\d+/gm)
    expect(servers).toEqual([
      `  server node1 node1:${IMAGE.port}`,
      `  server node2 node2:${IMAGE.port}`,
    ])
    await rm(folder, { recursive: true })
  },
)

test('the pods of kubernetes.yaml have settings that exist, and memory that is enough', async () => {
  const { Deployment, Job } = await readKubernetes()
  for (const { spec } of [Deployment.spec.template, Job.spec.template]) {
    const [container] = spec.containers
    const { requests, limits } = container.resources
    expect(requests).toEqual(limits)
    const variables = container.env.map(({ name, value }: { name: string; value?: string }) => [
      name,
      value ?? SECRETS[name as keyof typeof SECRETS],
    ])
    checkNode(Object.fromEntries(variables), Number(/^(\d+)Mi$/.exec(limits.memory)?.[1]))
    expect(container.image).toBe('taskapi')
    const [user, group] = IMAGE.user.split(':').map(Number)
    expect(spec.securityContext).toMatchObject({ runAsUser: user, runAsGroup: group })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  }
  expect(Job.spec.template.spec.containers[0].args).toEqual(['migrate'])
})

test('the owner of the tables is the role of the job alone, and pods wait for the job', async () => {
  const { Deployment, Job } = await readKubernetes()
  const secretsOf = ({ spec }: { spec: { containers: [{ env: Variable[] }] } }) =>
    Object.fromEntries(
      spec.containers[0].env.map(({ name, valueFrom }) => [name, valueFrom?.secretKeyRef.name]),
    )
  expect(secretsOf(Job.spec.template)).toEqual({ DATABASE_URL: 'taskapi-owner' })
  expect(secretsOf(Deployment.spec.template)).toMatchObject({
    DATABASE_URL: 'taskapi',
    JWT_SECRET: 'taskapi',
  })
  const { env } = Deployment.spec.template.spec.containers[0]
  expect(env).toContainEqual({ name: 'MIGRATE', value: 'check' })
  expect(env).toContainEqual({ name: 'STARTUP_TIMEOUT_MS', value: '0' })
})

test('a pod is asked for its health, and has the time to drain', async () => {
  const { spec } = (await readKubernetes()).Deployment.spec.template
  const [{ ports, env, livenessProbe, readinessProbe }] = spec.containers
  expect(ports).toEqual([{ name: 'http', containerPort: IMAGE.port }])
  expect(livenessProbe.httpGet).toEqual({ path: '/health', port: 'http' })
  expect(readinessProbe.httpGet).toEqual({ path: '/ready', port: 'http' })
  const delay = env.find(({ name }: { name: string }) => name === 'DRAIN_DELAY_MS')
  const drainMs = Number(delay.value) + Number(SETTINGS.SHUTDOWN_TIMEOUT_MS.default)
  expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(drainMs)
})

test('the other objects select the pods', async () => {
  const objects = await readKubernetes()
  const { labels } = objects.Deployment.spec.template.metadata
  expect(labels).toEqual({ app: 'taskapi' })
  expect(objects.Deployment.spec.selector.matchLabels).toEqual(labels)
  expect(objects.Service.spec.selector).toEqual(labels)
  expect(objects.Service.spec.ports[0].targetPort).toBe('http')
  expect(objects.PodDisruptionBudget.spec.selector.matchLabels).toEqual(labels)
  expect(objects.NetworkPolicy.spec.podSelector.matchLabels).toEqual(labels)
  expect(objects.NetworkPolicy.spec.ingress[0].ports[0].port).toBe(IMAGE.port)
  // The job must not get requests.
  expect(objects.Job.spec.template.metadata.labels).not.toMatchObject(labels)
})
