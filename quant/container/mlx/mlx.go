// Package mlx is the folder that mlx_lm.load (mlx-lm 0.32.2) opens: safetensors with, for each quantized module P,
// P.weight as U32 words of codes, the first in the lowest bits, P.scales and P.biases (its word for float offsets) in
// the weight's own dtype, one for each group of 32, 64 or 128 inputs. Names are the source's, for mlx-lm renames what
// it must when it loads. config.json says under quantization, and again under quantization_config, the group size and
// bits that most modules have, and by name those of the others; it says tie_word_embeddings, whose default differs
// between MLX and Transformers. Small files are copied.
//
// Experts that mlx-lm looks for in one tensor are stacked (stack.go).
//
// Codes are those of the method mlx, or coremltools' symmetric ones, which take the value of the least code as their
// offset and are the same numbers; or those of a folder of compressed-tensors, copied.
//
// Only package quant is stable.
package mlx

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"nibble/quant/container/safetensors"
	"nibble/quant/fault"
	"nibble/quant/format/huggingface"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/model"
	"nibble/quant/pack"
	"nibble/quant/plan"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Name is the container's in the table.
const Name = "mlx"

// Held is what it asks of the numbers that it holds.
var Held = scheme.Held{NarrowScales: true, Offsets: true}

// family is what the names of a model's tensors depend on.
type family struct {
	modelType string                   // whose experts may be stacked
	parts     func(stack string) int64 // experts of a stack
	tiedHead  string                   // weight that is left out, since the embedding is read in its place; or ""
	scales    map[string]bool          // of codes that are relabelled
}

// container is the container for the models of a family.
func container(o layout.Options, of family) safetensors.Container {
	placed := func(pieces []layout.Piece, t *tensor.Tensor) []layout.Piece {
		at := placeOf(of.modelType, t.Name)
		return inPlace(pieces, t, at, of.parts(at.module))
	}
	return safetensors.Container{
		Name: Name, Options: o, Copies: 4, Config: config, Format: "mlx", OneName: true,
		Pieces: func(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid, _ safetensors.Note) []layout.Piece {
			return placed(piecesOf(t, s, g), t)
		},
		Kept: func(t *tensor.Tensor) []layout.Piece { return placed(of.kept(t), t) },
	}
}

// Lay lays out a model.
func Lay(c *model.Model, p *plan.Plan, o layout.Options) (*layout.Output, error) {
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			if why := holds(e); why != nil {
				why.File = e.Tensor.Storage.FileName()
				return nil, why.In(e.Tensor.Name)
			}
		}
	}
	of := family{modelType: c.Config.ModelType, tiedHead: tiedHead(c.Config), scales: map[string]bool{}}
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize && e.Scheme.Method == method.Relabel {
			of.scales[e.Tensor.Name] = true
		}
	}
	if o.Some {
		of.modelType = ""
	}
	count, err := stacks(of.modelType, p)
	if err != nil {
		return nil, err
	}
	of.parts = func(stack string) int64 { return count[stack] }
	return safetensors.Lay(gathered(c, p, of), p, container(o, of))
}

// tiedHead is the weight of the output head of a model whose config says that it is tied to the embedding.
func tiedHead(c *huggingface.Config) string {
	if c.Tied != nil && *c.Tied && c.Head() != "" {
		return c.Head() + ".weight"
	}
	return ""
}

// holds says why a weight has no form here; nil where it has.
func holds(e *plan.Entry) *fault.Error {
	s, size := e.Scheme, e.Grid.GroupWidth()
	switch {
	case s.Method == method.Relabel:
		return nil
	case !strings.HasSuffix(e.Tensor.Name, ".weight") || len(e.Tensor.Shape) != 2:
		return fault.Not("", "MLX reads codes of matrices called weight alone").Hint("keep it")
	case e.Grid.BlockRows != 1 || size != 32 && size != 64 && size != 128:
		return fault.Not("", "MLX has groups of 32, 64 or 128 inputs of one row").Hint("choose one of them, or keep it")
	case s.Method == "" && (s.Mode != scheme.Symmetric || !s.Signed()):
		return fault.Not("", "%s %s of coremltools has no exact form in MLX", s.WeightDType, s.Mode).
			Hint("choose symmetric int4 or int8; or leave the config out, for MLX's own arithmetic")
	}
	return nil
}

// piecesOf are those of a weight.
func piecesOf(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid) []layout.Piece {
	words := pack.Spec{Form: pack.Words, Plane: plane.Codes, Bits: s.Bits(), Signed: s.Signed()}
	module := strings.TrimSuffix(t.Name, "weight")
	relabelled := s.Method == method.Relabel
	if relabelled {
		module = strings.TrimSuffix(t.Name, strings.TrimPrefix(model.PackedScaleEnd, "."))
	}
	perGroup := func(name string, kind plane.Kind) layout.Piece {
		return layout.Piece{Name: module + name, DType: t.DType, Shape: []int64{g.Rows, g.Across()},
			Code: pack.Spec{Form: pack.Floats, Plane: kind, DType: t.DType, PerRow: true}}
	}
	groups := []layout.Piece{perGroup("scales", plane.Scale), perGroup("biases", plane.Offset)}
	if relabelled { // the words are the source's, and kept
		return groups
	}
	return append([]layout.Piece{
		{Name: t.Name, DType: tensor.U32, Shape: []int64{g.Rows, words.Bytes(g.Row()) / 4}, Code: words},
	}, groups...)
}

// kept are the piece of a tensor that is kept. The words of compressed-tensors are called otherwise, and the shapes
// that stand beside them are theirs here.
func (of *family) kept(t *tensor.Tensor) []layout.Piece {
	if module, words := strings.CutSuffix(t.Name, model.PackedEnd); words && of.scales[module+model.PackedScaleEnd] {
		return []layout.Piece{{Name: module + ".weight", DType: tensor.U32, Shape: t.Shape}}
	}
	if module, ok := strings.CutSuffix(t.Name, model.PackedShapeEnd); ok && of.scales[module+model.PackedScaleEnd] ||
		t.Name == of.tiedHead {
		return nil
	}
	return layout.Kept(t)
}

// kind is what MLX is told of a module.
type kind struct {
	GroupSize int64 `json:"group_size"`
	Bits      int   `json:"bits"`
}

// config is the config.json of the folder.
func config(c *model.Model, p *plan.Plan) ([]byte, error) {
	count, order, of := map[kind]int{}, []kind{}, map[string]kind{}
	tied := true
	for i := range p.Entries {
		e := &p.Entries[i]
		tied = tied && e.Module != c.Config.Head()
		if e.Quantize {
			k := kind{e.Grid.GroupWidth(), e.Scheme.Bits()}
			if e.Scheme.Method == method.Relabel {
				k.GroupSize = e.Scheme.BlockSize[0]
			}
			if count[k]++; count[k] == 1 {
				order = append(order, k)
			}
			of[e.Module] = k
		}
	}
	if c.Config.Tied != nil {
		tied = *c.Config.Tied
	}
	changes := []huggingface.Member{{Key: "tie_word_embeddings", Value: tied}, {Key: "quantization"},
		{Key: "quantization_config"}}
	if len(order) == 0 {
		return c.Config.With(changes...)
	}
	main := order[0]
	for _, k := range order {
		if count[k] > count[main] {
			main = k
		}
	}
	quantization, err := said(main, of)
	if err != nil {
		return nil, err
	}
	changes[1].Value, changes[2].Value = quantization, quantization
	return c.Config.With(changes...)
}

// said is the object that MLX reads: what most modules have, and by name what others have.
func said(main kind, of map[string]kind) (json.RawMessage, error) {
	text := []byte(`{"group_size":` + strconv.FormatInt(main.GroupSize, 10) + `,"bits":` + strconv.Itoa(main.Bits) +
		`,"mode":"affine"`)
	var others []string
	for name, k := range of {
		if k != main {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(of[name])
		if err != nil {
			return nil, err
		}
		text = append(append(append(append(text, ','), key...), ':'), value...)
	}
	return append(text, '}'), nil
}

// Takes says why no folder can hold a model; nil where one can.
func Takes(c *model.Model) *fault.Error {
	var broken *fault.Error
	switch {
	case errors.As(c.NoConfig, &broken):
		return broken
	case c.Config == nil:
		return fault.Not(c.Name, "MLX opens a model's folder, with its config.json, and there is none").
			Code(fault.NeedsFolder, Name).Hint("choose the whole folder")
	}
	return safetensors.Takes(c)
}

// Wrote reports whether an opened file says that it is one of this container.
func Wrote(out *model.Model) bool { return safetensors.Wrote(out, Name) }

// Open finds the quantized weights of an opened file.
func Open(out *model.Model) (layout.Opener, error) {
	if out.Config == nil {
		return nil, fault.Bad(out.Name, "its config.json is missing, or cannot be read").Hint("choose the whole folder")
	}
	shapes := map[string][]int64{}
	for i := range out.State.Tensors {
		shapes[out.State.Tensors[i].Name] = out.State.Tensors[i].Shape
	}
	parts := func(stack string) int64 {
		if shape := shapes[stack+"weight"]; len(shape) == 3 {
			return shape[0]
		}
		return 1 // which the stack that is there is not
	}
	notes, err := safetensors.Notes(out)
	if err != nil {
		return nil, err
	}
	of := family{modelType: out.Config.ModelType, parts: parts, tiedHead: tiedHead(out.Config), scales: map[string]bool{}}
	for name, n := range notes {
		of.scales[name] = n.Method == method.Relabel
	}
	return container(layout.Options{}, of).Open(out)
}
