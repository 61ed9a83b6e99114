package model

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Packed is a weight of a folder that is quantized already, as its codes lie in 32-bit words.
type Packed struct {
	Module    string
	Bits      int     // of a code
	Shape     []int64 // of the weight: codes, not words
	Symmetric bool    // it has no zero points and no offsets
	Group     int64   // inputs that share a scale
	Words     string  // name of the tensor with the words
	Scale     string  // name of the one with the scales
}

// The names of packed weights in compressed-tensors.
const (
	PackedEnd      = ".weight_packed"
	PackedScaleEnd = ".weight_scale"
	PackedShapeEnd = ".weight_shape"
	packedZeroEnd  = ".weight_zero_point"
	packedOrderEnd = ".weight_g_idx"
)

// Beside are the names of the tensors that may stand beside the words, and are no weights of their own.
func (p *Packed) Beside() []string {
	if !strings.HasSuffix(p.Words, PackedEnd) { // MLX's
		return []string{p.Scale, p.Module + ".biases"}
	}
	return []string{p.Scale, p.Module + PackedShapeEnd, p.Module + packedZeroEnd}
}

// Packed are the weights of a folder whose codes lie in words, by what its config says of them; none without a config.
func (c *Model) Packed() []Packed { return c.packed }

// findPacked finds them, which a config can make slow.
func (c *Model) findPacked() (out []Packed) {
	if c.Config == nil || c.Quantized == nil {
		return nil
	}
	all := map[string]*tensor.Tensor{}
	for i := range c.State.Tensors {
		all[c.State.Tensors[i].Name] = &c.State.Tensors[i]
	}
	for i := range c.State.Tensors {
		t := &c.State.Tensors[i]
		module, end := strings.CutSuffix(t.Name, PackedEnd)
		scale := all[module+PackedScaleEnd]
		if end && all[module+packedOrderEnd] != nil {
			continue // its groups are not of neighbours
		}
		if !end {
			module, end = strings.CutSuffix(t.Name, ".weight")
			end = end && t.DType == tensor.U32
			scale = all[module+".scales"]
		}
		if !end || scale == nil {
			continue
		}
		if p, ok := c.unpacked(module, t, scale); ok {
			out = append(out, p)
		}
	}
	return out
}

// unpacked is the weight that words and scales stand for; false where the config says nothing of it, or what cannot be.
func (c *Model) unpacked(module string, words, scale *tensor.Tensor) (p Packed, ok bool) {
	k, ok := c.Config.CodesOf(module)
	n := len(words.Shape)
	if !ok || n < 2 || len(scale.Shape) != n || k.Bits < 2 || k.Bits > 8 || words.DType.Size() != 4 ||
		!scale.DType.Weight() || !slices.Equal(words.Shape[:n-1], scale.Shape[:n-1]) {
		return p, false
	}
	p = Packed{Module: module, Bits: k.Bits, Symmetric: k.Symmetric, Group: k.Group, Words: words.Name, Scale: scale.Name}
	for _, axis := range words.Shape {
		if axis == 0 {
			return p, false
		}
	}
	inputs, across := words.Shape[n-1]*32/int64(k.Bits), scale.Shape[n-1]
	switch {
	case k.Group == 0 && across == 1: // the last word may be filled with zeros, which weight_shape alone says
	case k.Group > 0 && k.Group <= inputs && across <= inputs/k.Group+1 &&
		(across*k.Group*int64(k.Bits)+31)/32 == words.Shape[n-1]:
		inputs = across * k.Group
	default:
		return p, false
	}
	p.Shape = append(slices.Clone(words.Shape[:n-1]), inputs)
	return p, true
}

// CheckPacked reads what compressed-tensors' files say of the shapes of packed weights, and holds them against those
// that the words have.
func (c *Model) CheckPacked() error {
	if c.checked {
		return nil
	}
	of := map[string]*Packed{}
	for i := range c.packed {
		of[c.packed[i].Module+PackedShapeEnd] = &c.packed[i]
	}
	for i := range c.State.Tensors {
		t := &c.State.Tensors[i]
		p := of[t.Name]
		if p == nil {
			continue
		}
		said, err := smallIntegers(t)
		if err != nil {
			return err
		}
		if !slices.Equal(said, p.Shape) {
			return fault.Bad(t.Storage.FileName(), "it says that a weight is %v, and the words of that make %v", said, p.Shape).
				In(t.Name).Hint("the file is damaged: download it again, or ask who quantized it")
		}
	}
	c.checked = true
	return nil
}

// smallIntegers are the values of a short list of int64 or int32; nil of what is none.
func smallIntegers(t *tensor.Tensor) (out []int64, err error) {
	if len(t.Shape) != 1 || t.Shape[0] > 8 || t.DType != tensor.I64 && t.DType != tensor.I32 || !t.Contiguous() {
		return nil, nil
	}
	raw := make([]byte, t.Bytes())
	if _, err := io.ReadFull(io.NewSectionReader(t.Storage.File.R, t.Storage.Start+t.Offset, t.Bytes()), raw); err != nil {
		return nil, err
	}
	for ; len(raw) > 0; raw = raw[t.DType.Size():] {
		if t.DType == tensor.I32 {
			out = append(out, int64(int32(binary.LittleEndian.Uint32(raw))))
		} else {
			out = append(out, int64(binary.LittleEndian.Uint64(raw)))
		}
	}
	return out, nil
}
