// Runs in every process. A limit for waits that have none of their own.

/** Settles as `task` does, or with `fallback` after `timeoutMs`. */
export async function withTimeout<T>(task: Promise<T>, timeoutMs: number, fallback: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, fallback)
  })
  try {
    return await Promise.race([task, expired])
  } finally {
    clearTimeout(timer)
  }
}
