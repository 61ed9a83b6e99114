// Figures for people. Sizes are decimal, as file managers show them.

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let u = 0
  while (n >= 999.5 && u < units.length - 1) {
    n /= 1000
    u++
  }
  return `${u === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(n >= 9.995 ? 1 : 2)} ${units[u]}`
}

export function count(n: number): string {
  const units = ['', ' K', ' M', ' B', ' T']
  let u = 0
  while (n >= 999.5 && u < units.length - 1) {
    n /= 1000
    u++
  }
  return `${u === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(n >= 9.995 ? 1 : 2)}${units[u]}`
}

export function duration(seconds: number): string {
  const s = Math.max(1, Math.round(seconds))
  if (s < 60) return `${s} s`
  const m = Math.floor(s / 60)
  return m < 60 ? `${m} min ${s % 60} s` : `${Math.floor(m / 60)} h ${m % 60} min`
}

export const ratio = (n: number) => (n >= 10 ? n.toFixed(0) : n.toFixed(n >= 1.995 ? 1 : 2))

export const shape = (s: number[]) => (s.length ? s.join(' × ') : 'scalar')

export const small = (n: number) => (n === 0 ? '0' : n >= 0.001 && n < 1000 ? n.toPrecision(3) : n.toExponential(2))

export const percent = (p: { done: number; total: number }) => Math.floor((100 * p.done) / Math.max(p.total, 1))
