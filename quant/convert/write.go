package convert

import (
	"io"

	"nibble/quant/pack"
	"nibble/quant/plan"
	"nibble/quant/tile"
)

// executor is one conversion under way.
type executor struct {
	plan     *plan.Plan
	files    files
	costs    []Cost
	limits   tile.Limits
	progress Progress
	done     int64
	total    int64

	// the run being written
	sink io.Writer // of its first piece
	held [][]byte  // what its other pieces have so far, and items that do not fill their bytes yet
}

// write appends what a task made: the first piece goes out at once, the others wait until the run's last task.
func (x *executor) write(j *job, r *Result) error {
	if r.Unfit != "" {
		return unfit(j.run.entry, r.Unfit)
	}
	if j.first {
		if err := x.begin(j); err != nil {
			return err
		}
	}
	gathers := len(j.run.Pieces) > 0 && j.run.Pieces[0].Code.Rows() > 1
	for i, part := range r.Parts {
		if i > 0 || gathers {
			x.held[i] = append(x.held[i], part...)
		} else if _, err := x.sink.Write(part); err != nil {
			return err
		}
	}
	if gathers {
		if err := x.gatherFirst(j); err != nil {
			return err
		}
	}
	if j.run.Source != nil || j.run.entry != nil && carries(j.run.Section) {
		if j.run.entry != nil {
			x.costs[j.run.Entry].add(r)
		}
		x.done += j.task.bytes()
		if x.progress != nil {
			x.progress(x.done, x.total)
		}
	}
	if !j.last {
		return nil
	}
	return x.finish(j.run)
}

// begin begins a run, and its file where it is the first of it.
func (x *executor) begin(j *job) (err error) {
	r := j.run
	if r.opens != nil {
		if err := x.files.begin(r.opens); err != nil {
			return err
		}
	}
	if len(r.Pieces) == 0 {
		x.sink = x.files.count
		_, err := x.sink.Write(r.Literal)
		return err
	}
	if x.sink, err = x.files.piece(&r.Pieces[0]); err != nil {
		return err
	}
	x.held = make([][]byte, len(r.Pieces))
	for i := 1; i < len(r.Pieces) && !j.last; i++ {
		if p := &r.Pieces[i]; p.Literal == nil {
			x.held[i] = make([]byte, 0, p.Bytes())
		}
	}
	return nil
}

// finish writes the pieces that were held, and ends the file where the run is its last.
func (x *executor) finish(r *run) (err error) {
	for i := range r.Pieces {
		p := &r.Pieces[i]
		if i == 0 && p.Literal == nil {
			continue // it was written task by task
		}
		if i > 0 {
			if x.sink, err = x.files.piece(p); err != nil {
				return err
			}
		}
		switch {
		case p.Literal != nil:
			_, err = x.sink.Write(p.Literal)
		case p.Code.Rows() > 1:
			err = x.gather(r.entry, p.Code, x.held[i])
		default:
			_, err = x.sink.Write(x.held[i])
		}
		if err != nil {
			return err
		}
	}
	x.held = nil
	if r.closes {
		return x.files.end()
	}
	return nil
}

// gatherFirst writes of the first piece what the items so far fill, or with the last ones all of it; the rest waits,
// which is that of fewer rows than share bytes.
func (x *executor) gatherFirst(j *job) error {
	code := j.run.Pieces[0].Code
	group := code.Rows() * j.run.entry.Grid.Across()
	n := int64(len(x.held[0])) / group * group
	if j.last {
		n = int64(len(x.held[0]))
	}
	if n == 0 {
		return nil
	}
	err := x.gather(j.run.entry, code, x.held[0][:n])
	x.held[0] = append(x.held[0][:0], x.held[0][n:]...)
	return err
}

// gather lays items, one a byte and row by row, in the bytes that rows share, so many at a time.
func (x *executor) gather(e *plan.Entry, spec pack.Spec, items []byte) error {
	code, err := pack.Of[float32](spec)
	if err != nil {
		return err
	}
	gatherer, ok := code.(pack.Gatherer)
	if !ok {
		return errForm
	}
	across := int(e.Grid.Across())
	group := int(spec.Rows()) * across
	var out []byte
	for ; len(items) > 0; items = items[min(group, len(items)):] {
		rows := items[:min(group, len(items))]
		for from := 0; from < across; from += x.limits.Chunk {
			out = gatherer.Gather(out[:0], rows, across, from, min(x.limits.Chunk, across-from))
			if _, err := x.sink.Write(out); err != nil {
				return err
			}
		}
	}
	return nil
}
