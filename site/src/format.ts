// Figures for people. Sizes are decimal, as file managers show them.

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let u = 0
  while (n >= 999.5 && u < units.length - 1) { n /= 1000; u++ }
  return `${u === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(n >= 9.995 ? 1 : 2)} ${units[u]}`
}

export function count(n: number): string {
  const units = ['', ' K', ' M', ' B', ' T']
  let u = 0
  while (n >= 999.5 && u < units.length - 1) { n /= 1000; u++ }
  return `${u === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(n >= 9.995 ? 1 : 2)}${units[u]}`
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

export const ratio = (n: number) => n >= 10 ? n.toFixed(0) : n.toFixed(n >= 1.995 ? 1 : 2)

export const shape = (s: number[]) => s.length ? s.join(' × ') : 'scalar'

export const small = (n: number) => n === 0 ? '0' : n >= 0.001 && n < 1000 ? n.toPrecision(3) : n.toExponential(2)

export const percent = (p: { done: number, total: number }) => Math.floor(100 * p.done / Math.max(p.total, 1))
