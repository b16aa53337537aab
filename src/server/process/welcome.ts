// Runs in the process that the user started. What a newcomer reads when the service is up.

const EMAIL = 'ada@example.com'
const PASSWORD = 'correct horse'

/**
 * Where the service listens, a transcript ready to paste, and how to stop.
 *
 * @param url of the service, or `unix:` and the path of its socket
 */
export function welcome(url: string): string {
  const socket = /^unix:(.*)$/s.exec(url)?.[1]
  const target = socket === undefined ? url : `--unix-socket ${quote(socket)} http://localhost`
  return `
taskapi listens on ${url}

Try it:

${transcript(target)}

All endpoints: curl -s ${target}/openapi.json
Stop with Ctrl-C.
`
}

/** Shell commands that use the API from registration to the list of tasks, at a URL as curl is given it. */
export function transcript(url: string): string {
  const json = "-H 'content-type: application/json'"
  const credentials = JSON.stringify({ email: EMAIL, password: PASSWORD })
  const task = JSON.stringify({ title: 'Write integration tests', priority: 'high' })
  return [
    `curl -s ${url}/api/v1/auth/register ${json} -d '${credentials}'`,
    `TOKEN=$(curl -s ${url}/api/v1/auth/login ${json} -d '${credentials}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')`,
    `curl -s ${url}/api/v1/tasks -H "authorization: Bearer $TOKEN" ${json} -d '${task}'`,
    `curl -s ${url}/api/v1/tasks -H "authorization: Bearer $TOKEN"`,
  ].join('\n')
}

/** A word of the shell that means this text. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
