// Package coremltools is the container of coremltools: a file of torch.save that holds what
// PostTrainingQuantizer(...).compress().state_dict() of coremltools 9.0 does, ready for its converter. Weights are
// dequantized floats under their old names; beside each lie the buffers that coremltools registers
// (optimize/torch/_utils/metadata_utils.py), in this order, as MODULE._COREML_/PARAM/FIELD.
//
// The pickle keeps the order of a real state dict: a module's buffers come after its own tensors. Storages lie in the
// order they are made. Names that were one view of one storage stay so when their verdicts agree. A method with
// offsets has no place here.
//
// Only package quant is stable.
package coremltools

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"nibble/quant/container/folder"
	"nibble/quant/fault"
	"nibble/quant/format/pickle"
	"nibble/quant/format/torch"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/model"
	"nibble/quant/pack"
	"nibble/quant/plan"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Name is the container's in the table, Extension its files'.
const (
	Name      = "coremltools"
	Extension = ".pt"
)

const (
	prefix         = "_COREML_/"
	fieldBits      = "quantization_n_bits"
	fieldScale     = "quantization_scale"
	fieldZeroPoint = "zero_point"
	fieldType      = "compression_type"
	typeQuantized  = 3
)

// Lay lays out a model. Shards are .bin files, as Transformers names them.
func Lay(c *model.Model, p *plan.Plan, o layout.Options) (*layout.Output, error) {
	versions := torch.Versions(c.Bodies)
	out, err := folder.Lay(c, p, folder.Container{
		Name: Name, Stem: "pytorch_model", Extension: ".bin", Options: o,
		File: func(shard *plan.Plan) (layout.File, error) { return file(shard, versions, o) },
	})
	if err != nil {
		return nil, err
	}
	out.AsLarge = true
	return out, nil
}

// file is one file of torch.save.
func file(p *plan.Plan, versions []torch.ModuleVersion, o layout.Options) (f layout.File, err error) {
	if err := layout.RoomForNames(p, o.Instead, 4, pickle.MaxBytes); err != nil {
		return f, err
	}
	last := map[string]int{} // module -> index of its last own tensor
	for i, e := range p.Entries {
		last[owner(e.Tensor.Name)] = i
	}
	var items []torch.Item
	pending := map[string][]torch.Item{} // buffers that wait for their module's last tensor
	twins := map[string]int{}            // view and verdict -> first entry that has them
	keys := make([][]int, len(p.Entries))
	next := 0
	for i, e := range p.Entries {
		pieces := layout.Kept(e.Tensor)
		if e.Quantize {
			pieces = piecesOf(e.Tensor, e.Scheme, e.Grid)
		}
		view := viewAndVerdict(&p.Entries[i])
		if twin, ok := twins[view]; ok {
			keys[i] = keys[twin]
		} else {
			twins[view] = i
			f.Sections = append(f.Sections, layout.Section{Made: true, Entry: i, Pieces: pieces})
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
	if err := layout.Unique(layout.InputName(p), f.Sections); err != nil {
		return f, err
	}
	for i := range items {
		f.Names = append(f.Names, items[i].Name)
	}
	return f, archive(p, &f, items, versions, o)
}

// archive gives the file the zip that its pieces lie in.
func archive(p *plan.Plan, f *layout.File, items []torch.Item, versions []torch.ModuleVersion, o layout.Options) error {
	text, err := torch.Pickle(items, versions)
	if err != nil {
		return err
	}
	var sizes []int64
	for _, s := range f.Sections {
		for i := range s.Pieces {
			sizes = append(sizes, s.Pieces[i].Bytes())
		}
	}
	a := torch.LayArchive(text, sizes)
	if err := a.Unreadable(text, items); err != nil {
		return layout.WayOut(err, p, o.Instead)
	}
	f.Bytes = a.Bytes
	f.Frame = func(w io.Writer) (layout.Writer, error) {
		z, err := a.Start(w)
		return zipWriter{z}, err
	}
	return nil
}

// zipWriter takes pieces as the archive's storages.
type zipWriter struct{ *torch.ArchiveWriter }

func (z zipWriter) Next(*layout.Piece) (io.Writer, error) { return z.Storage() }

// owner is the module of a tensor, with the dot at its end; "" is the root.
func owner(name string) string { return name[:strings.LastIndexByte(name, '.')+1] }

// viewAndVerdict is a key that two tensors share only when they are the very same view with the same verdict.
func viewAndVerdict(e *plan.Entry) string {
	return fmt.Sprint(e.Tensor.View(), e.Quantize, e.Scheme, e.Grid)
}

// field is the name of a buffer of a weight.
func field(t *tensor.Tensor, name string) string {
	module := owner(t.Name)
	return module + prefix + t.Name[len(module):] + "/" + name
}

// piecesOf are the floats of a weight and its buffers.
func piecesOf(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid) []layout.Piece {
	number := func(name string, shape []int64, n int64) layout.Piece {
		return layout.Piece{Name: field(t, name), DType: tensor.I64, Shape: shape, Literal: tensor.Bytes([]int64{n})}
	}
	shape, arithmetic := g.ScaleShape(len(t.Shape)), t.DType.Arithmetic()
	pieces := []layout.Piece{
		{Name: t.Name, DType: t.DType, Shape: t.Shape,
			Code: pack.Spec{Form: pack.Floats, Plane: plane.Values, DType: t.DType}},
		number(fieldBits, []int64{}, int64(s.Bits())),
		{Name: field(t, fieldScale), DType: arithmetic, Shape: shape,
			Code: pack.Spec{Form: pack.Floats, Plane: plane.Scale, DType: arithmetic}},
	}
	if method.Planes(s).ZeroPoint {
		d := tensor.U8
		if s.Signed() {
			d = tensor.I8
		}
		pieces = append(pieces, layout.Piece{Name: field(t, fieldZeroPoint), DType: d, Shape: shape,
			Code: pack.Spec{Form: pack.Bytes, Plane: plane.ZeroPoint, Bits: s.Bits(), Signed: s.Signed()}})
	}
	return append(pieces, number(fieldType, []int64{1}, typeQuantized))
}

// Wrote reports whether an opened file can be one of this container.
func Wrote(out *model.Model) bool { return out.Format == model.TorchZip }

// Open finds quantized weights by their buffers. These do not say whether codes are symmetric or affine, but that
// signed ones with zero points are affine.
func Open(*model.Model) (layout.Opener, error) {
	return func(src *tensor.Tensor, find func(string) *tensor.Tensor) (*layout.Stored, error) {
		bits, scale, points := find(field(src, fieldBits)), find(field(src, fieldScale)), find(field(src, fieldZeroPoint))
		switch {
		case bits == nil && scale == nil && points == nil && find(field(src, fieldType)) == nil:
			return nil, nil
		case bits == nil || scale == nil || bits.DType != tensor.I64 || bits.Elements() != 1:
			return layout.Wrong("its %s buffers are incomplete", prefix), nil
		}
		one, raw := bits.Flat(), tensor.Buffer(nil, 8)
		if err := tile.Whole(one, 0, 1).Read(one, raw, tile.Limits{}); err != nil {
			return nil, err
		}
		n := tensor.View[int64](raw)[0]
		dtypes := map[int64][2]scheme.WeightDType{4: {scheme.Int4, scheme.Uint4}, 8: {scheme.Int8, scheme.Uint8}}[n]
		var schemes []scheme.Scheme
		switch {
		case dtypes[0] == "":
			return layout.Wrong("it claims %d bits", n), nil
		case points == nil:
			schemes = []scheme.Scheme{{WeightDType: dtypes[0], Mode: scheme.Symmetric}}
		case points.DType == tensor.I8:
			schemes = []scheme.Scheme{{WeightDType: dtypes[0], Mode: scheme.Affine}}
		default:
			schemes = []scheme.Scheme{{WeightDType: dtypes[1], Mode: scheme.Symmetric},
				{WeightDType: dtypes[1], Mode: scheme.Affine}}
		}
		q := layout.Claim(src, scale.Shape, schemes...)
		if q.Problem == "" {
			q.Pieces = piecesOf(src, schemes[0], q.Grid)
		}
		return q, nil
	}, nil
}

// Quantized reports whether anything in an opened file is quantized.
func Quantized(out *model.Model) bool {
	for i := range out.State.Tensors {
		if strings.Contains(out.State.Tensors[i].Name, prefix) {
			return true
		}
	}
	return false
}

var (
	//go:embed file.py
	fromFile string
	//go:embed folder.py
	fromFolder string
)

// Python reads a file, or a folder of shards, as lines of Python.
func Python(folder bool) string {
	if folder {
		return fromFolder
	}
	return fromFile
}

// Takes says why the container cannot hold a model; nil where it can.
func Takes(c *model.Model) *fault.Error {
	for i := range c.State.Tensors {
		if t := &c.State.Tensors[i]; !torch.Carries(t.DType) {
			return torch.NoPlace(t.DType).In(t.Name).Code(fault.NoPlace, t.DType.String()).Hint("choose another container")
		}
	}
	return nil
}
