// Package container is the front door out: the table of containers. Each lays out every byte of the new files from
// the plan, opens what it wrote, for verify, and says why it cannot hold weights of a scheme. The executor fills the
// layout in one forward pass.
//
// A new container is a folder beside this file and a row of the table. What several of them share has folders of its
// own: folder (one file, or shards with their index) and safetensors.
//
// Only package quant is stable.
package container

import (
	"slices"

	"nibble/quant/container/coremltools"
	"nibble/quant/container/int8"
	"nibble/quant/container/mlx"
	"nibble/quant/container/packed"
	"nibble/quant/container/safetensors"
	"nibble/quant/fault"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/plane"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
)

// Options choose the container.
type Options = layout.Options

// Row is one container.
type Row struct {
	Name        string
	Extension   string      // of a single file, with the dot
	Suffix      string      // that names of outputs have; mostly none
	HighNibbles bool        // it takes Options.HighNibble
	Bytes       bool        // it holds one code a byte, whatever the bits
	Holds       plane.Has   // which planes beside codes and scales it has a place for
	Asks        scheme.Held // what it asks of the numbers that it holds
	Instead     string      // what to choose where an output of it could not be opened again, to end a sentence; or ""
	Lay         func(c *model.Model, p *plan.Plan, o Options) (*layout.Output, error)
	Takes       func(c *model.Model) *fault.Error // why it cannot hold a model; nil where it can
	Wrote       func(out *model.Model) bool       // an opened file can be one of its
	Quantized   func(out *model.Model) bool       // and holds something quantized; nil where Wrote says so
	Open        func(out *model.Model) (layout.Opener, error)
	// what an output says was asked for beyond its recipe; nil where it says nothing
	Asked func(out *model.Model) recipe.Options
	// makes of an output what coremltools knows, as lines of Python; nil where nothing does
	Python func(folder bool) string
}

// HighNibbles are what Options.HighNibble can be, the default first.
var HighNibbles = []string{int8.Sign, int8.Zero}

// Default is the container of the command and the page when the user names none.
const Default = packed.Name

// Table is the containers in the order they are offered. Files are asked in it who wrote them.
var Table = []Row{
	{
		Name: packed.Name, Extension: safetensors.Extension, Holds: plane.Has{ZeroPoint: true}, Asks: packed.Held,
		Lay: packed.Lay, Takes: safetensors.Takes, Wrote: packed.Wrote, Open: packed.Open, Asked: safetensors.Asked,
		Python:  packed.Python,
		Instead: ", or choose " + int8.Name + ", which has fewer tensors for each weight",
	},
	{
		Name: int8.Name, Extension: safetensors.Extension, HighNibbles: true, Bytes: true, Holds: plane.Has{ZeroPoint: true},
		Lay: int8.Lay, Takes: safetensors.Takes, Wrote: int8.Wrote, Open: int8.Open, Asked: safetensors.Asked,
		Python: int8.Python,
	},
	{
		Name: coremltools.Name, Extension: coremltools.Extension, Holds: plane.Has{ZeroPoint: true},
		Lay: coremltools.Lay, Takes: coremltools.Takes, Wrote: coremltools.Wrote, Quantized: coremltools.Quantized,
		Open: coremltools.Open, Python: coremltools.Python, Instead: ", or choose " + packed.Name + " or " + int8.Name,
	},
	{
		Name: mlx.Name, Extension: safetensors.Extension, Suffix: "-mlx", Holds: plane.Has{Offset: true}, Asks: mlx.Held,
		Lay: mlx.Lay, Takes: mlx.Takes, Wrote: mlx.Wrote, Open: mlx.Open, Asked: safetensors.Asked,
	},
}

// Find is the row that options name.
func Find(o Options) (*Row, error) {
	if o.To == "" {
		o.To = Default
	}
	names := ""
	for i := range Table {
		if row := &Table[i]; row.Name == o.To {
			if o.HighNibble != "" && !row.HighNibbles {
				return nil, fault.Not("", "high nibble goes with the %s container, not with %s", int8.Name, o.To).
					Hint("leave it out, or choose %s", int8.Name)
			}
			return row, nil
		}
		names += " " + Table[i].Name
	}
	return nil, fault.Not("", "there is no container %q", o.To).Hint("the containers are%s", names)
}

// Lay lays out a plan in the container that options name.
func Lay(c *model.Model, p *plan.Plan, o Options) (*layout.Output, error) {
	row, err := Find(o)
	if err != nil {
		return nil, err
	}
	if why := row.Takes(c); why != nil {
		return nil, why
	}
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			why := row.holds(e.Scheme)
			if why == nil {
				why = method.Takes(e.Scheme, e.Tensor.DType, e.Grid)
			}
			if why != nil {
				why.File = e.Tensor.Storage.FileName()
				return nil, why.In(e.Tensor.Name)
			}
		}
	}
	o.Instead = row.Instead
	if row.Name != coremltools.Name {
		o.Tied = ", or choose the " + coremltools.Name + " container, which keeps tied weights together"
	}
	return row.Lay(c, p, o)
}

// holds says why the container has no place for what a scheme's method makes; nil where it has.
func (row *Row) holds(s scheme.Scheme) *fault.Error {
	has, what := method.Planes(s), ""
	switch {
	case has.Offset && !row.Holds.Offset:
		what = "offsets"
	case has.ZeroPoint && !row.Holds.ZeroPoint:
		what = "zero points"
	default:
		return nil
	}
	return fault.Not("", "weights with %s have no place in the container %s", what, row.Name).
		Hint("choose another container")
}

// Of is the container that an opened output is of, by what it says of itself.
func Of(out *model.Model) (*Row, error) {
	i := slices.IndexFunc(Table, func(row Row) bool { return row.Wrote(out) })
	if i < 0 {
		return nil, fault.Not(out.Name, "this file does not say that Nibble wrote it").
			Hint("name the output of nibble convert")
	}
	return &Table[i], nil
}

// Asked is what an output says was asked for beyond its recipe: the parts of its source, and where it is to run.
func Asked(out *model.Model) recipe.Options {
	row, err := Of(out)
	if err != nil || row.Asked == nil {
		return recipe.Options{}
	}
	return row.Asked(out)
}
