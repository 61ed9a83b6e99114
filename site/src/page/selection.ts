// Rows the user has picked, by name: click one, shift-click a stretch, or all that a
// filter shows.

import { useRef, useState } from 'preact/hooks'
import type { TensorRow } from '../library/nibble'

export interface Selection {
  names: ReadonlySet<string>
  /** Toggles a row; with stretch, sets all rows from the last one to it. */
  pick(name: string, stretch: boolean): void
  /** Adds all rows that the filter finds, or takes them out. */
  all(on: boolean): void
  none(): void
  /** Picks these and no others. */
  only(names: string[]): void
}

/** shown are the rows that the filter finds, in order. */
export function useSelection(shown: TensorRow[]): Selection {
  const [names, setNames] = useState<ReadonlySet<string>>(new Set())
  const last = useRef('')
  const order = shown.filter(t => t.settable).map(t => t.name)
  return {
    names,
    pick(name, stretch) {
      const next = new Set(names)
      const a = order.indexOf(last.current),
        b = order.indexOf(name)
      if (b < 0) return
      const on = !names.has(name)
      if (stretch && a >= 0) for (const n of order.slice(Math.min(a, b), Math.max(a, b) + 1)) next.add(n)
      else if (on) next.add(name)
      else next.delete(name)
      last.current = name
      setNames(next)
    },
    all(on) {
      setNames(new Set(on ? [...names, ...order] : [...names].filter(n => !order.includes(n))))
    },
    none() {
      setNames(new Set())
    },
    only(list) {
      setNames(new Set(list))
    },
  }
}
