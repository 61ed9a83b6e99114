package tile

// Limits are the sizes at which a conversion, or a comparison, goes another way. A field that is
// 0 has its default, so the zero value is what everybody uses; tests set them tiny, so that small
// inputs cross every one of them. None changes a byte of the output. Figures of the report are sums
// of float32, which Tile and Chunk order, so that they agree to seven digits.
type Limits struct {
	Tile       int64 // bytes of source that are read at once, but for a single group of columns
	Window     int64 // bytes of a storage through which a strided view is read
	Chunk      int   // weights that go through the kernels at a time, while they lie in the nearest cache
	Batch      int64 // bytes of source that a worker is given at a time
	Tasks      int   // tasks that a worker is given at a time, where tensors are small
	Scales     int64 // scales of one row of blocks that are measured at a time, where it is larger than a tile
	Held       int64 // bytes of an entry's later pieces that wait for their turn in the file
	Histograms int   // tensors of a model whose histograms are counted, at 1 kB each
	Samples    int64 // weights of a tensor that its histogram counts, about
}

// defaults are large enough for a read and for a worker's turn to cost little, and small enough for
// a tile to stay in a cache. A batch's output is at most half as large as its source.
var defaults = Limits{
	Tile:       2 << 20,
	Window:     1 << 20,
	Chunk:      1 << 14,
	Batch:      32 << 20,
	Tasks:      128,
	Scales:     1 << 18,
	Held:       16 << 20,
	Histograms: 1 << 14,
	Samples:    1 << 14,
}

// Filled has the default in each field that is 0.
func (l Limits) Filled() Limits {
	d := defaults
	return Limits{
		Tile:       or(l.Tile, d.Tile),
		Window:     or(l.Window, d.Window),
		Chunk:      or(l.Chunk, d.Chunk),
		Batch:      or(l.Batch, d.Batch),
		Tasks:      or(l.Tasks, d.Tasks),
		Scales:     or(l.Scales, d.Scales),
		Held:       or(l.Held, d.Held),
		Histograms: or(l.Histograms, d.Histograms),
		Samples:    or(l.Samples, d.Samples),
	}
}

func or[T int | int64](n, otherwise T) T {
	if n > 0 {
		return n
	}
	return otherwise
}
