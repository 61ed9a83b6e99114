// Package scheme owns the facts of linear quantization that the plan, the kernels,
// the containers and the page share: bits, signedness, code ranges, granularity,
// block geometry, scale shapes and packed sizes.
//
// The facts are those of coremltools' PostTrainingQuantizer (coremltools 9.0,
// optimize/_utils.py and optimize/torch/quantization/post_training_quantization.py).
// It is a leaf: it imports nothing of Nibble and does no I/O.
//
// Only package quant is stable.
package scheme

import (
	"fmt"
	"slices"
)

// WeightDType is the type of the codes.
type WeightDType string

const (
	Int4  WeightDType = "int4"
	Uint4 WeightDType = "uint4"
	Int8  WeightDType = "int8"
	Uint8 WeightDType = "uint8"
)

// DTypes are those of the codes, in the order they are offered.
var DTypes = []WeightDType{Int4, Uint4, Int8, Uint8}

// Granularity is how many weights share a scale.
type Granularity string

const (
	PerTensor  Granularity = "per_tensor"
	PerChannel Granularity = "per_channel"
	PerBlock   Granularity = "per_block"
)

// Mode is coremltools' quantization_scheme.
type Mode string

const (
	Symmetric Mode = "symmetric"
	Affine    Mode = "affine"
)

// Scheme is everything a recipe says about one weight.
type Scheme struct {
	Method      string `json:",omitempty"` // row of the table of methods; "" is apple
	WeightDType WeightDType
	Granularity Granularity
	Mode        Mode
	BlockSize   []int64 // as the user gave it; only with PerBlock; one int, or one per axis
	Held
}

// Held is what a container asks of the numbers that it holds, whatever the recipe.
type Held struct {
	NarrowScales bool `json:",omitempty"` // scales of bfloat16 weights are bfloat16, and codes are made with these
	Offsets      bool `json:",omitempty"` // the least code's value stands beside each scale, in the place of a zero point
}

// Known reports whether Nibble knows such codes.
func (s Scheme) Known() bool {
	return slices.Contains(DTypes, s.WeightDType) && (s.Mode == Symmetric || s.Mode == Affine)
}

// Bits per code: 4 or 8.
func (s Scheme) Bits() int {
	if s.WeightDType == Int4 || s.WeightDType == Uint4 {
		return 4
	}
	return 8
}

// Signed reports whether codes are two's complement.
func (s Scheme) Signed() bool { return s.WeightDType == Int4 || s.WeightDType == Int8 }

// Range is the smallest and largest code. Symmetric gives up one code so that the
// range is even around the zero point: the lowest of a signed type, the highest of
// an unsigned one.
func (s Scheme) Range() (qmin, qmax int) {
	span := 1 << s.Bits()
	switch {
	case s.Signed() && s.Mode == Symmetric:
		return -span/2 + 1, span/2 - 1
	case s.Signed():
		return -span / 2, span/2 - 1
	case s.Mode == Symmetric:
		return 0, span - 2
	}
	return 0, span - 1
}

// HasZeroPoint reports whether a zero point is stored: affine, or any unsigned type.
func (s Scheme) HasZeroPoint() bool { return s.Mode == Affine || !s.Signed() }

// FixedZeroPoint is the zero point that symmetric codes share: 0 for signed types,
// the middle of the range for unsigned ones.
func (s Scheme) FixedZeroPoint() int {
	if s.Signed() {
		return 0
	}
	_, qmax := s.Range()
	return qmax / 2
}

func (s Scheme) String() string {
	text := fmt.Sprintf("%s %s %s", s.WeightDType, s.Mode, s.Granularity)
	switch len(s.BlockSize) {
	case 0:
	case 1:
		text += fmt.Sprintf(" %d", s.BlockSize[0])
	default:
		text += fmt.Sprintf(" %v", s.BlockSize)
	}
	return text
}
