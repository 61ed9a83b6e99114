// What a user asks for is a walk of several steps, some of which wait for the worker. Whoever asks for something else
// meanwhile wants no late answer to the old question: of all walks only the newest goes on.

const late = Symbol('late')

export class Walks {
  private newest = 0

  /** Begins a walk; all before it end at their next step. */
  begin(): Walk {
    return new Walk(++this.newest, n => n === this.newest)
  }

  /** Ends all walks. */
  end() {
    this.newest++
  }

  /** The newest walk, for what is to end with it. */
  current(): Walk {
    return new Walk(this.newest, n => n === this.newest)
  }
}

export class Walk {
  constructor(
    private own: number,
    private isNewest: (own: number) => boolean,
  ) {}

  get goesOn() {
    return this.isNewest(this.own)
  }

  /** Waits for an answer. When it comes, or fails, too late, the walk ends here. */
  async wait<T>(answer: T | Promise<T>): Promise<T> {
    try {
      const value = await answer
      if (this.goesOn) return value
    } catch (err) {
      if (this.goesOn) throw err
    }
    throw late
  }

  /** Takes the steps; failed is called with what goes wrong while the walk goes on. */
  async steps(take: () => Promise<void>, failed: (err: unknown) => void | Promise<void>): Promise<void> {
    try {
      await take()
    } catch (err) {
      if (err === late) return
      if (this.goesOn) await failed(err)
    }
  }
}
