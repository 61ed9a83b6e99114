// Package container is the front door out: the table of containers. Each lays out every byte of the new files from
// the plan, opens what it wrote, for verify, and says why it cannot hold weights of a scheme. The executor fills the
// layout in one forward pass.
//
// A new container is a folder beside this file and a row of the table. What several of them share has folders of its
// own: folder (one file, or shards with their index) and safetensors.
package container

import (
	"slices"

	"nibble/quant/container/coremltools"
	"nibble/quant/container/int8"
	"nibble/quant/container/packed"
	"nibble/quant/container/safetensors"
	"nibble/quant/fault"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// Options choose the container.
type Options = layout.Options

// Row is one container.
type Row struct {
	Name        string
	Extension   string // of a single file, with the dot
	HighNibbles bool   // it takes Options.HighNibble
	Lay         func(c *model.Model, p *plan.Plan, o Options) (*layout.Output, error)
	Takes       func(s scheme.Scheme) *fault.Error // why it cannot hold weights of a scheme; nil where it can
	Wrote       func(out *model.Model) bool        // an opened file can be one of its
	Quantized   func(out *model.Model) bool        // and holds something quantized; nil where Wrote says so
	Open        func(out *model.Model) (layout.Opener, error)
	Python      func(folder bool) string // makes of an output what coremltools knows, as lines of Python; nil where nothing does
}

// Default is the container of the command and the page when the user names none.
const Default = packed.Name

// Table is the containers in the order they are offered. Files are asked in it who wrote them.
var Table = []Row{
	{packed.Name, safetensors.Extension, false, packed.Lay, packed.Takes, packed.Wrote, nil, packed.Open, packed.Python},
	{int8.Name, safetensors.Extension, true, int8.Lay, int8.Takes, int8.Wrote, nil, int8.Open, int8.Python},
	{coremltools.Name, coremltools.Extension, false, coremltools.Lay, coremltools.Takes, coremltools.Wrote, coremltools.Quantized, coremltools.Open, coremltools.Python},
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
				return nil, fault.Not("", "high nibble goes with the int8 container, not with %s", o.To).Hint("leave it out, or choose int8")
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
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			why := row.Takes(e.Scheme)
			if why == nil {
				why = method.Takes(e.Scheme, e.Tensor.DType, e.Grid)
			}
			if why != nil {
				why.File = e.Tensor.Storage.FileName()
				return nil, why.In(e.Tensor.Name)
			}
		}
	}
	return row.Lay(c, p, o)
}

// Of is the container that an opened output is of, by what it says of itself.
func Of(out *model.Model) (*Row, error) {
	i := slices.IndexFunc(Table, func(row Row) bool { return row.Wrote(out) })
	if i < 0 {
		return nil, fault.Not(out.Name, "this file does not say that Nibble wrote it").Hint("name the output of nibble convert")
	}
	return &Table[i], nil
}

// Parts are the parts of its source that an output says it was made of.
func Parts(out *model.Model) []string { return safetensors.Parts(out) }
