// Package method is how numbers are made: planes from weights, and values from planes. A method knows no bytes, files
// or tensors. It is plain data that a scheme names, so that a task can travel to another worker.
//
// A new method is a folder beside this file and a row of the table. The executor (convert) and verify run methods
// through the interfaces here; containers ask which planes a scheme has.
//
// Only package quant is stable.
package method

import (
	"fmt"

	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/method/apple"
	"nibble/quant/method/linear"
	"nibble/quant/method/minmax"
	"nibble/quant/method/mlx"
	"nibble/quant/method/relabel"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Method makes the planes of one weight, in groups of so many consecutive weights each. Parameters lie as groups do.
type Method[T kernel.Float] interface {
	// Has is which planes it makes beside codes and scales.
	Has() plane.Has
	// Fit makes the parameters of groups that lie one after the other, and says why there are none.
	// s is room for as many numbers, which hold anything.
	Fit(w []T, group int, s plane.Stats[T], p plane.Params[T]) kernel.Unfit
	// Encode writes one code for each weight and adds what that loses to e. w may begin or end within a group.
	Encode(w []T, group int, p plane.Params[T], codes []byte, e *kernel.Errors)
	// Decode writes what codes stand for.
	Decode(codes []byte, group int, p plane.Params[T], out []T)
}

// Spread is a Method whose groups may lie apart, in several rows, tiles or tasks: they are measured tile by tile first.
// Other methods are given groups whole, within a row.
type Spread[T kernel.Float] interface {
	Method[T]
	// Reset empties the numbers of groups.
	Reset(s plane.Stats[T])
	// Range adds group k of w to the numbers of group k.
	Range(w []T, group int, s plane.Stats[T])
	// Merge adds the numbers of other weights of the same groups, in any order.
	Merge(s, other plane.Stats[T])
	// Settle makes the parameters of groups that were measured whole, and says why there are none.
	Settle(s plane.Stats[T], p plane.Params[T]) kernel.Unfit
}

// Row is one method. Where it lacks the arithmetic for a dtype, it has no function for it.
type Row struct {
	Name   string
	Spread bool // its groups may lie apart
	Planes func(s scheme.Scheme) plane.Has
	Single func(s scheme.Scheme, d tensor.Type) Method[float32] // for F32, BF16 and F16
	Double func(s scheme.Scheme) Method[float64]
}

// The methods by name. A scheme without a name means Apple, that of coremltools.
const (
	Apple  = "apple"
	MinMax = "minmax" // compressed-tensors'
	MLX    = "mlx"

	Relabel = "relabel" // of weights that are quantized already
)

// Table is the methods by name.
var Table = []Row{
	{
		Apple, true, linear.Planes,
		func(s scheme.Scheme, d tensor.Type) Method[float32] { return apple.New[float32](s, d) },
		func(s scheme.Scheme) Method[float64] { return apple.New[float64](s, tensor.F64) },
	},
	{
		MinMax, true, linear.Planes,
		func(s scheme.Scheme, d tensor.Type) Method[float32] { return minmax.New(s, d) }, nil,
	},
	{
		MLX, false, mlx.Planes,
		func(s scheme.Scheme, d tensor.Type) Method[float32] { return mlx.New(s, d) }, nil,
	},
	{
		Relabel, false, relabel.Planes,
		func(s scheme.Scheme, d tensor.Type) Method[float32] { return relabel.New(s, d) }, nil,
	},
}

// Find is the row of a scheme's method.
func Find(s scheme.Scheme) (*Row, error) {
	name := s.Method
	if name == "" {
		name = Apple
	}
	for i := range Table {
		if Table[i].Name == name {
			return &Table[i], nil
		}
	}
	return nil, fmt.Errorf("internal error: there is no method %q; please report it", name)
}

// Takes says why a scheme's method cannot quantize a weight of a dtype in such groups; nil where it can.
func Takes(s scheme.Scheme, d tensor.Type, g scheme.Grid) *fault.Error {
	row, err := Find(s)
	switch {
	case err != nil:
		return fault.Not("", "there is no method %q", s.Method)
	case d == tensor.F64 && row.Double == nil:
		return fault.Not("", "the method %q has no arithmetic for %s", row.Name, d).Hint("save the model in float32")
	case !row.Spread && g.BlockRows > 1:
		return fault.Not("", "the method %q takes no groups of several rows", row.Name).Hint("choose blocks of one row")
	}
	return nil
}

// Planes are what a scheme's method makes beside codes and scales; none of a method that is not known.
func Planes(s scheme.Scheme) plane.Has {
	if row, err := Find(s); err == nil {
		return row.Planes(s)
	}
	return plane.Has{}
}

// Of is the method of a scheme for weights of a dtype, whose arithmetic T holds: float64 for F64, else float32.
func Of[T kernel.Float](s scheme.Scheme, d tensor.Type) (Method[T], error) {
	row, err := Find(s)
	if err != nil {
		return nil, err
	}
	var m any
	switch {
	case d == tensor.F64 && row.Double != nil:
		m = row.Double(s)
	case d != tensor.F64 && row.Single != nil:
		m = row.Single(s, d)
	}
	if of, ok := m.(Method[T]); ok {
		return of, nil
	}
	return nil, fmt.Errorf("internal error: the method %q has no arithmetic for %s; please report it", row.Name, d)
}
