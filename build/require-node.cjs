// Run before each npm script, by versions of Node that may be too old for everything else: reports which one is needed.
//   node build/require-node.cjs [version]
const { name, engines } = require('../package.json')

const [version = process.versions.node] = process.argv.slice(2)
const needed = engines.node.replace(/[^\d.]/g, '')

// Node 23.0 to 23.5 are newer than needed, but do not run TypeScript.
if (isOlder(version, needed) || !process.features.typescript) {
  // npm calls a hook like its script, with "pre" before it.
  const script = (process.env.npm_lifecycle_event || 'start').replace(/^pre/, '')
  const command = `npx -y -p node@${needed.split('.')[0]} -c "npm ci && npm run ${script}"`
  process.stderr.write(
    `${name} needs Node ${needed} or newer, and this is ${version}: ${command}\n`,
  )
  process.exitCode = 1
}

/** Compares major versions, then minor ones. */
function isOlder(left, right) {
  const [leftMajor, leftMinor] = left.split('.').map(Number)
  const [rightMajor, rightMinor] = right.split('.').map(Number)
  return leftMajor < rightMajor || (leftMajor === rightMajor && leftMinor < rightMinor)
}
