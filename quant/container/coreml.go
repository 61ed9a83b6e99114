package container

import (
	"fmt"
	"io"
	"strings"

	"nibble/quant/format/torch"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

// Buffers that coremltools registers beside a quantized parameter PARAM of a module,
// in this order (optimize/torch/_utils/metadata_utils.py of coremltools 9.0); keys are
// MODULE._COREML_/PARAM/FIELD.
const (
	Prefix         = "_COREML_/"
	FieldBits      = "quantization_n_bits"
	FieldScale     = "quantization_scale"
	FieldZeroPoint = "zero_point"
	FieldType      = "compression_type"
	TypeQuantized  = 3
)

// layoutCoreml is what torch.save of PostTrainingQuantizer(...).compress().state_dict()
// holds: dequantized floats under the old names, and the _COREML_ buffers. The pickle
// keeps the order of a real state dict (a module's buffers come after its own
// tensors); storages lie in the order they are made. Names that were one view of one
// storage stay so when their verdicts agree.
func layoutCoreml(p *plan.Plan, o Options) (*Layout, error) {
	if err := roomForNames(p, "coremltools", 4, torch.MaxPickle); err != nil {
		return nil, err
	}
	last := map[string]int{} // module -> index of its last own tensor
	for i, e := range p.Entries {
		last[owner(e.Tensor.Name)] = i
	}
	var items []torch.Item
	var runs []Run
	pending := map[string][]torch.Item{} // buffers that wait for their module's last tensor
	twins := map[string]int{}            // view and verdict -> first entry that has them
	keys := make([][]int, len(p.Entries))
	next := 0
	for i, e := range p.Entries {
		pieces := coremlPieces(&p.Entries[i])
		view := viewAndVerdict(&p.Entries[i])
		if twin, ok := twins[view]; ok {
			keys[i] = keys[twin]
		} else {
			twins[view] = i
			runs = append(runs, Run{i, pieces})
			for range pieces {
				keys[i] = append(keys[i], next)
				next++
			}
		}
		mod := owner(e.Tensor.Name)
		for k, piece := range pieces {
			item := torch.Item{Name: piece.Name, DType: piece.DType, Shape: piece.Shape, Key: keys[i][k]}
			if k == 0 {
				items = append(items, item)
			} else {
				pending[mod] = append(pending[mod], item)
			}
		}
		if last[mod] == i {
			items = append(items, pending[mod]...)
		}
	}
	if err := unique(inputName(p), runs, false); err != nil {
		return nil, err
	}
	pickle, err := torch.Pickle(items, p.State.Versions)
	if err != nil {
		return nil, err
	}
	var sizes []int64
	for _, r := range runs {
		for i := range r.Pieces {
			sizes = append(sizes, r.Pieces[i].Bytes())
		}
	}
	names := make([]string, len(items))
	for i := range items {
		names[i] = items[i].Name
	}
	a := torch.LayArchive(pickle, sizes)
	if err := a.Unreadable(pickle, items); err != nil {
		return nil, WayOut(err, p, "coremltools")
	}
	return &Layout{Runs: runs, Bytes: a.Bytes, Names: names, start: func(w io.Writer) (Writer, error) {
		z, err := a.Start(w)
		return zipWriter{z}, err
	}}, nil
}

func owner(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i+1]
	}
	return ""
}

// viewAndVerdict tells tensors apart that are not the very same view with the same verdict.
func viewAndVerdict(e *plan.Entry) string {
	return fmt.Sprint(e.Tensor.View(), e.Quantize, e.Scheme, e.Grid)
}

func coremlPieces(e *plan.Entry) []Piece {
	t := e.Tensor
	if !e.Quantize {
		return kept(t)
	}
	module := owner(t.Name)
	name := func(field string) string { return module + Prefix + t.Name[len(module):] + "/" + field }
	number := func(field string, shape []int64, n int64) Piece {
		return Piece{Name: name(field), DType: tensor.I64, Shape: shape, Content: Literal, Literal: tensor.Bytes([]int64{n})}
	}
	shape := e.Grid.ScaleShape(len(t.Shape))
	pieces := []Piece{
		{Name: t.Name, DType: t.DType, Shape: t.Shape, Content: Dequantized},
		number(FieldBits, []int64{}, int64(e.Scheme.Bits())),
		{Name: name(FieldScale), DType: t.DType.Arithmetic(), Shape: shape, Content: Scale},
	}
	if e.Scheme.HasZeroPoint() {
		d := tensor.U8
		if e.Scheme.Signed() {
			d = tensor.I8
		}
		pieces = append(pieces, Piece{Name: name(FieldZeroPoint), DType: d, Shape: shape, Content: ZeroPoint})
	}
	return append(pieces, number(FieldType, []int64{1}, TypeQuantized))
}

// zipWriter takes pieces as the archive's storages.
type zipWriter struct{ *torch.ArchiveWriter }

func (z zipWriter) Next(*Piece) (io.Writer, error) { return z.Storage() }
