// The tables that benches print.

/** Prints rows of cells in columns of such widths; a negative width aligns to the left. */
export const table =
  (...widths) =>
  (...cells) =>
    console.log(
      cells.map((c, i) => (widths[i] < 0 ? String(c).padEnd(-widths[i]) : String(c).padStart(widths[i]))).join(''),
    )
