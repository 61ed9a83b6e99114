// Package verify re-opens an output and holds it against the source, tensor by tensor: what was kept
// must be the same bytes, and what was quantized is derived once more. The method that the output
// names is run on the source's blocks, whole, and every scale, zero point and code must be equal, so
// that a wrong number is found however small its error is. A coremltools .pt names no method: its
// floats must be explained by one scheme for each whole tensor.
//
// It uses nothing of the plan and of the executor, and knows no container: what the output says of itself
// (names, shapes, __metadata__) is all that the container's opener goes by, as any other reader would. Of each
// weight it names the scheme and the pieces; verify runs the scheme's method and the pieces' codes. Memory is
// bounded by the limits, whatever the rows, blocks and scales.
//
// Only package quant is stable.
package verify

import (
	"bytes"
	"context"
	"fmt"

	"nibble/quant/layout"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Report is the outcome. OK is true when every row is and nothing is missing.
type Report struct {
	OK        bool   `json:"ok"`
	Container string `json:"container"`
	Tensors   []Row  `json:"tensors"`
}

// Row is the outcome for one tensor of the source, or for a tensor that only the
// output has.
type Row struct {
	Name        string   `json:"name"`
	Verdict     string   `json:"verdict"` // "quantize" or "keep"
	OK          bool     `json:"ok"`
	MaxAbsError *float64 `json:"max_abs_error"` // of a weight; null when kept, or wrong
	Problem     string   `json:"problem"`       // "" when OK
}

// Run compares until ctx is done; open is the output's container's. It fails only when a file cannot be read;
// differences are in the report. progress counts bytes of the source and may be nil. Of the limits, Tile, Window and
// Scales are used.
func Run(ctx context.Context, open layout.Opener, out, source *tensor.StateDict, limits tile.Limits,
	progress func(done, total int64)) (*Report, error) {
	v := &verifier{ctx: ctx, open: open, byName: map[string]*tensor.Tensor{}, used: map[string]bool{},
		limits: limits.Filled()}
	for i := range out.Tensors {
		v.byName[out.Tensors[i].Name] = &out.Tensors[i]
	}
	done, total := int64(0), int64(0)
	for i := range source.Tensors {
		total += source.Tensors[i].Bytes()
	}
	v.step = func(n int64) {
		if done += n; progress != nil {
			progress(done, total)
		}
	}
	r := &Report{OK: true}
	end := int64(0)
	for i := range source.Tensors {
		row, err := v.tensor(&source.Tensors[i])
		if err != nil {
			return nil, err
		}
		if end += source.Tensors[i].Bytes(); done < end {
			v.step(end - done) // what is wrong is not looked at to its end
		}
		r.OK = r.OK && row.OK
		r.Tensors = append(r.Tensors, row)
	}
	for i := range out.Tensors {
		if name := out.Tensors[i].Name; !v.used[name] {
			r.OK = false
			r.Tensors = append(r.Tensors, Row{Name: name, Verdict: "keep", Problem: "is in the output but not in the source"})
		}
	}
	return r, nil
}

// verifier is one comparison under way.
type verifier struct {
	ctx    context.Context
	byName map[string]*tensor.Tensor
	used   map[string]bool // names of the output that belong to a tensor of the source
	open   layout.Opener
	step   func(bytes int64) // of the source, compared
	limits tile.Limits
}

// tensor compares one tensor of the source with what the output has for it.
func (v *verifier) tensor(src *tensor.Tensor) (Row, error) {
	stored, err := v.open(src, v.find)
	if err != nil {
		return Row{}, err
	}
	if stored == nil {
		return v.kept(src, v.find(src.Name))
	}
	if stored.Kept {
		return v.moved(src, stored.Pieces)
	}
	q, err := v.findPieces(stored)
	if err != nil {
		return Row{}, err
	}
	row := Row{Name: src.Name, Verdict: "quantize", OK: true, Problem: q.Problem}
	if row.Problem == "" {
		err = q.derive(v.ctx, src, &row, v.limits, v.step)
	}
	row.OK = row.Problem == ""
	return row, err
}

// moved demands the same bytes in the piece that a kept tensor became, which may be called otherwise; of one that
// became none, nothing.
func (v *verifier) moved(src *tensor.Tensor, pieces []layout.Piece) (Row, error) {
	if len(pieces) == 0 {
		return Row{Name: src.Name, Verdict: "keep", OK: true}, nil
	}
	got := partOf(v.find(pieces[0].Name), &pieces[0])
	if got != nil && got.DType == pieces[0].DType && got.DType.Size() == src.DType.Size() {
		same := *got
		same.DType = src.DType // the bytes count
		got = &same
	}
	return v.kept(src, got)
}

// kept demands the same dtype, shape and bytes.
func (v *verifier) kept(src, got *tensor.Tensor) (Row, error) {
	row := Row{Name: src.Name, Verdict: "keep"}
	switch {
	case got == nil:
		row.Problem = "is missing from the output"
	case got.DType != src.DType || fmt.Sprint(got.Shape) != fmt.Sprint(src.Shape):
		row.Problem = fmt.Sprintf("is %s %v in the output, %s %v in the source", got.DType, got.Shape, src.DType, src.Shape)
	default:
		var a, b []byte
		if src.Contiguous() && got.Contiguous() {
			src, got = src.Flat(), got.Flat()
		}
		for _, t := range tile.Cut(src, 1, v.limits.Tile) {
			if err := v.ctx.Err(); err != nil {
				return row, err
			}
			a, b = tensor.Buffer(a, int(t.Size(src))), tensor.Buffer(b, int(t.Size(src)))
			if err := t.Read(src, a, v.limits); err != nil {
				return row, err
			}
			if err := t.Read(got, b, v.limits); err != nil {
				return row, err
			}
			v.step(int64(len(a)))
			if !bytes.Equal(a, b) {
				row.Problem = "was to be kept byte for byte and differs"
				break
			}
		}
	}
	row.OK = row.Problem == ""
	return row, nil
}

// find looks a tensor of the output up and marks it as accounted for.
func (v *verifier) find(name string) *tensor.Tensor {
	t := v.byName[name]
	if t != nil {
		v.used[name] = true
	}
	return t
}
