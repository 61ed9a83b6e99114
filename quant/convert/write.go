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

	// What follows is of the section that is being written.
	piece io.Writer // where its current piece goes
	held  [][]byte  // bytes of its later pieces, and items of rows that do not fill a word yet
}

// write takes what a task made: the first piece of a section goes out at once, the others wait until the section's
// last task.
func (x *executor) write(j *placedTask, r *Result) error {
	if r.Unfit != "" {
		return unfit(j.section.entry, r.Unfit)
	}
	if j.first {
		if err := x.begin(j); err != nil {
			return err
		}
	}
	packsRows := len(j.section.Pieces) > 0 && j.section.Pieces[0].Code.Rows() > 1
	for i, piece := range r.Pieces {
		if i > 0 || packsRows {
			x.held[i] = append(x.held[i], piece...)
		} else if _, err := x.piece.Write(piece); err != nil {
			return err
		}
	}
	if packsRows {
		if err := x.packFirstPiece(j); err != nil {
			return err
		}
	}
	if j.section.Source != nil || j.section.entry != nil && hasAllValues(j.section.Section) {
		if j.section.entry != nil {
			x.costs[j.section.Entry].add(r)
		}
		x.done += j.task.bytes()
		if x.progress != nil {
			x.progress(x.done, x.total)
		}
	}
	if !j.last {
		return nil
	}
	return x.finish(j.section)
}

// begin begins a section, and its file where it is the first of it.
func (x *executor) begin(j *placedTask) (err error) {
	r := j.section
	if r.opens != nil {
		if err := x.files.begin(r.opens); err != nil {
			return err
		}
	}
	if len(r.Pieces) == 0 {
		x.piece = x.files.count
		_, err := x.piece.Write(r.Literal)
		return err
	}
	if x.piece, err = x.files.piece(&r.Pieces[0]); err != nil {
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

// finish writes the pieces that waited, and ends the file where the section is its last.
func (x *executor) finish(r *section) (err error) {
	for i := range r.Pieces {
		p := &r.Pieces[i]
		if i == 0 && p.Literal == nil {
			continue // it was written task by task
		}
		if i > 0 {
			if x.piece, err = x.files.piece(p); err != nil {
				return err
			}
		}
		switch {
		case p.Literal != nil:
			_, err = x.piece.Write(p.Literal)
		case p.Code.Rows() > 1:
			err = x.packRows(r.entry, p.Code, x.held[i])
		default:
			_, err = x.piece.Write(x.held[i])
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

// packFirstPiece writes what is full of a first piece whose bytes several rows share, or all of it with the last
// task. Rows that do not fill their words yet wait.
func (x *executor) packFirstPiece(j *placedTask) error {
	code := j.section.Pieces[0].Code
	group := code.Rows() * j.section.entry.Grid.Across()
	n := int64(len(x.held[0])) / group * group
	if j.last {
		n = int64(len(x.held[0]))
	}
	if n == 0 {
		return nil
	}
	err := x.packRows(j.section.entry, code, x.held[0][:n])
	x.held[0] = append(x.held[0][:0], x.held[0][n:]...)
	return err
}

// packRows lays items, which wait one a byte and row by row, in the bytes that several rows share.
func (x *executor) packRows(e *plan.Entry, spec pack.Spec, items []byte) error {
	code, err := pack.Of[float32](spec)
	if err != nil {
		return err
	}
	packer, ok := code.(pack.RowPacker)
	if !ok {
		return errForm
	}
	across := int(e.Grid.Across())
	group := int(spec.Rows()) * across
	var out []byte
	for ; len(items) > 0; items = items[min(group, len(items)):] {
		rows := items[:min(group, len(items))]
		for from := 0; from < across; from += x.limits.Chunk {
			out = packer.PackRows(out[:0], rows, across, from, min(x.limits.Chunk, across-from))
			if _, err := x.piece.Write(out); err != nil {
				return err
			}
		}
	}
	return nil
}
