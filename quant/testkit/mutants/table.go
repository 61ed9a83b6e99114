package main

// mutant is one fault, as it could be made by hand.
type mutant struct {
	what  string
	file  string // under quant/
	edits []edit
	tests string // that find it; "" is defaultTests
	race  bool   // only the race detector is sure to see it
}

// edit replaces a text that stands in the file once.
type edit struct{ from, to string }

// defaultTests are the property test and those of verify.
const defaultTests = "^(TestTinyLimitsMakeTheSame|TestVerify.*|TestWeightsLargerThanTiles)$"

// mutants is the literal table. The first is what the executor once did.
var mutants = []mutant{
	{what: "a row of blocks is cut by the bytes it makes and measured by those it reads, each task its own",
		file: "convert/split.go", edits: []edit{
			{"whole := len(tasks) == 1 && all == nil; whole",
				"whole := all == nil && (&Task{Tensor: t.Tensor, Tiles: own}).bytes() <= s.limits.Batch; whole"},
		}},
	{what: "the same without the guard that refuses such tasks", file: "convert/quantize.go", edits: []edit{
		{"t.Step != Measure && (!t.Split.Whole || covered != all)", "false && covered != all"},
		{"	if t.Split != nil && t.Split.Params == nil {\n",
			"	if t.Split != nil && (t.Split.Params == nil || t.bytes() <= 300 && t.Step != Measure) {\n		whole := " +
				"*t.Split\n		whole.Params, t.Split = nil, &whole\n"},
	}},
	{what: "a split group is ready before its last ranges are in", file: "convert/split.go",
		edits: []edit{{"	if g.unmeasured--; g.unmeasured > 0 {\n", "	if g.unmeasured--; g.unmeasured > 1 {\n"}}},
	{what: "ranges are counted before they are written, without the lock", file: "convert/split.go", race: true,
		tests: "^TestPoolMakesTheSame$", edits: []edit{{"	defer g.mu.Unlock()\n", "	g.mu.Unlock()\n"}}},
	{what: "a stretch of a row of blocks that could not be measured is left out", file: "convert/split.go",
		tests: "^TestMeasuringThatFailsOnce$", edits: []edit{{"		g.err = b.err\n", "		_ = b.err\n"}}},
	{what: "rows of blocks that are split are not surveyed", file: "convert/split.go",
		edits: []edit{{"			if s.step == Check && r > row {\n",
			"			if s.step == Check && r > row || s.step == Check && r == 0 {\n"}}, tests: defaultTests},
	{what: "the largest weights of a stretch are not merged", file: "method/linear/linear.go",
		edits: []edit{{"	kernel.Range(other.High, 1, s.Low, s.High)\n", ""}}},
	{what: "blocks are measured from the row that is written on", file: "convert/split.go",
		edits: []edit{{"for k := row; g.BlockRows > 1", "for k := r; g.BlockRows > 1"}}},
	{what: "the scales of a split group are written with each of its rows", file: "convert/split.go",
		edits: []edit{{"WritesParams: r == row}", "WritesParams: true}"}}},
	{what: "the blocks of another stretch of the row", file: "convert/quantize.go",
		edits: []edit{{"		block -= first\n", "		block -= first\n			block = min(block, first)\n"}}},
	{what: "the scale of the row above", file: "convert/quantize.go",
		edits: []edit{{"	at := r / int(q.task.Grid.BlockRows) * across\n	return q.params",
			"	at := max(r-1, 0) / int(q.task.Grid.BlockRows) * across\n	return q.params"}}},
	{what: "the scale of the neighbour, in rows cut at blocks", file: "convert/quantize.go",
		edits: []edit{{"			q.encode(src, from, width, params)",
			"			q.encode(src, from, width, q.params.Slice(max(from/width-1, 0), to/width-min(1, from/width)))"}}},
	{what: "scales of rows that begin in another tile", file: "convert/encode.go",
		edits: []edit{{"if q.tile.Col > int64(q.firstBlock())*q.task.Grid.GroupWidth() {", "if q.tile.Col > 0 {"}}},
	{what: "words of zero points are written when half full", file: "convert/write.go",
		edits: []edit{{"group := code.Rows() * j.section.entry.Grid.Across()",
			"group := code.Rows() / 2 * j.section.entry.Grid.Across()"}}},
	{what: "zero points of words cut into chunks", file: "pack/integers.go",
		edits: []edit{{"range raw[row*across+from:][:n] {", "range raw[row*across:][:n] {"}}},
	{what: "a window off by one value", file: "tile/tile.go",
		edits: []edit{{"if at < w.from || at+size > w.until {", "if at < w.from || at > w.until {"}}},
	{what: "the window of a long row off by one value", file: "tile/tile.go",
		edits: []edit{{"			from = src\n		}\n		copy(dst[out:out+size], buf[src-from:])",
			"			from = src + size\n		}\n		copy(dst[out:out+size], buf[max(src-from, 0):])"}}},
	{what: "columns of a row that is cut begin at the first one", file: "tile/tile.go",
		edits: []edit{{"tiles = append(tiles, Tile{Row: row, Rows: 1, Col: c, Cols: min(cols, to-c)})",
			"tiles = append(tiles, Tile{Row: row, Rows: 1, Col: c - from, Cols: min(cols, to-c)})"}}},
	{what: "a histogram forgets which column a tile begins with", file: "convert/chunk.go",
		edits: []edit{{"q.tile.Row*q.task.Grid.Row()+q.tile.Col+int64(at)", "q.tile.Row*q.task.Grid.Row()+int64(at)"}}},
	{what: "a histogram whose span the first value decides", file: "kernel/histogram.go",
		edits: []edit{{"	if fraction == -0.5 {\n", "	if fraction == -2 {\n"}}},
	{what: "the errors of later tiles are not added", file: "convert/convert.go",
		edits: []edit{{"	for _, e := range r.Errors {\n", "	for _, e := range r.Errors[:min(1, len(r.Errors))] {\n"}}},
	{what: "rows that do not fill their words are packed as one", file: "pack/integers.go",
		edits: []edit{{"if row*c.Bits/8 == width {", "if row*c.Bits/8 <= width {"}}},
	{what: "samples keep the zero points of another weight", file: "convert/chunk.go",
		edits: []edit{{"s.params.Emptied(params)", "s.params.Slice(0, 0)"}}},
	{what: "verify believes the codes", file: "verify/weights.go",
		edits: []edit{{"		if !bytes.Equal(got, d.made) {\n",
			"		if len(got) != len(d.made) && !bytes.Equal(got, d.made) {\n"}}},
	{what: "verify believes the scales", file: "verify/derive.go",
		edits: []edit{{"		if !bytes.Equal(got, d.made) {\n",
			"		if len(got) != len(d.made) && !bytes.Equal(got, d.made) {\n"}}},
	{what: "verify believes the zero points of later rows of a word", file: "verify/derive.go",
		edits: []edit{{"if !bytes.Equal(d.points, d.params.ZeroPoint) {",
			"if row%p.Code.Rows() == 0 && !bytes.Equal(d.points, d.params.ZeroPoint) {"}}},
	{what: "verify takes the scheme that explains the end of a weight", file: "verify/derive.go",
		edits: []edit{{"			if problem != \"\" || err != nil {\n				return row,",
			"			if problem != \"\" && row == 0 && len(d.Schemes) == 1 || err != nil {\n				return row,"}}},
	{what: "verify holds the first tile of a long row for all of it", file: "verify/rows.go",
		edits: []edit{{"	if x == r.loaded {\n",
			"	if x.Row == r.loaded.Row && x.Rows == r.loaded.Rows && x.Cols == r.loaded.Cols {\n"}}},
	{what: "verify does not look below the last row of a word", file: "verify/derive.go",
		edits: []edit{{"} else if !clean {", "} else if !clean && count < 0 {"}}},
	{what: "verify judges the first tile of a long row only", file: "verify/derive.go",
		edits: []edit{{"			if problem != \"\" || err != nil {\n", "			if problem != \"\" && block == 0 || err != nil {\n"}}},
	{what: "verify compares the first tile of what is kept", file: "verify/verify.go",
		edits: []edit{{"			if !bytes.Equal(a, b) {\n", "			if !bytes.Equal(a, b) && t.Row == 0 {\n"}}},
	{what: "verify gives no error", file: "verify/weights.go", edits: []edit{{"	d.worst = max(d.worst, e.Max)\n", ""}}},
}
