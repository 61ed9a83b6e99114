package tile

// Limits are the sizes at which a conversion, or a comparison, goes another way. A field that is
// 0 has its default, so the zero value is what everybody uses; tests set them tiny, so that small
// inputs cross every one of them. None changes a byte of the output. Figures of the report are sums
// of float32, whose order Tile, Chunk and Scales have a part in, so that they agree to seven digits.
type Limits struct {
	Tile       int64 // bytes of source that are read at once, but for a single group of columns
	Window     int64 // bytes of a storage through which a strided view is read
	Page       int64 // bytes read at once where a stretch of a view's row is read value by value
	Chunk      int   // weights that go through the kernels at a time, while they lie in the nearest cache
	Batch      int64 // bytes of source that a worker is given at a time
	Tasks      int   // tasks that a worker is given at a time, where tensors are small
	Scales     int64 // scales of one row of blocks that are measured at a time, where it is larger than a tile
	Held       int64 // bytes of an entry's later pieces that wait for their turn in the file
	Histograms int   // tensors of a model whose histograms are counted, at 1 kB each
	Samples    int64 // weights of a tensor that its histogram counts, about
}

// Filled has the default in each field that is 0. Defaults are large enough for a read and for a
// worker's turn to cost little, and small enough for a tile to stay in a cache.
func (l Limits) Filled() Limits {
	return Limits{
		Tile:       or(l.Tile, 2<<20),
		Window:     or(l.Window, 1<<20),
		Page:       or(l.Page, 4<<10),
		Chunk:      or(l.Chunk, 1<<14),
		Batch:      or(l.Batch, 32<<20),
		Tasks:      or(l.Tasks, 128),
		Scales:     or(l.Scales, 1<<18),
		Held:       or(l.Held, 16<<20),
		Histograms: or(l.Histograms, 1<<14),
		Samples:    or(l.Samples, 1<<14),
	}
}

func or[T int | int64](n, otherwise T) T {
	if n > 0 {
		return n
	}
	return otherwise
}
