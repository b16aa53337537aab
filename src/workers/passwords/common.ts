// Runs in the hash threads of a listener. The passwords that everybody guesses first.

/** Shorter ones are refused for their length. */
const LENGTH_MIN = 8

let text: Promise<string> | undefined

/** True for one of the most common passwords, whatever its case. */
export async function isCommonPassword(password: string): Promise<boolean> {
  text ??= readList()
  return (await text).includes(`\n${password.toLowerCase()}\n`)
}

/**
 * The list as one text: its 18 000 passwords take 170 kB, where a Set of them takes 1.6 MB, and a search takes 0.15 ms. It
 * is read here because that takes 30 ms and 5 MB, which go when the thread is idle.
 */
async function readList(): Promise<string> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  const all: string[] = dictionary['passwords-common']
  const long = all.filter((password) => password.length >= LENGTH_MIN)
  return `\n${long.join('\n').toLowerCase()}\n`
}
