/** The mark: a byte, eight bits, split into two nibbles; the one that is kept is filled. */
export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      {[0, 1].flatMap(column =>
        [0, 1, 2, 3].map(row => (
          <rect
            x={column ? 18.5 : 4.5}
            y={2.5 + row * 7}
            width="9"
            height="5"
            rx="1.6"
            class={column ? 'bit' : 'bit on'}
          />
        )),
      )}
    </svg>
  )
}
