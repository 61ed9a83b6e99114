package protocol

import (
	"context"
	"errors"

	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/model"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/recipe/target"
	"nibble/quant/scheme"
)

// Choices are what there is to choose for a model, and what is chosen where nothing is said. The page has no list of
// its own.
type Choices struct {
	Runtimes    []Runtime            `json:"runtimes"`
	Containers  []Container          `json:"containers"`
	DTypes      []scheme.WeightDType `json:"dtypes"`
	Grains      []Grain              `json:"grains"`
	Schemes     []scheme.Mode        `json:"schemes"`
	HighNibbles []HighNibble         `json:"high_nibbles"`
	Classes     []Class              `json:"classes"`
	GroupSizes  []int                `json:"group_sizes"` // usual ones
	Defaults    Defaults             `json:"defaults"`
	Edit        coremltools.Global   `json:"edit"` // what is offered first for layers that are picked one by one
}

// The page has words for each value of these texts.
type (
	// RuntimeName is the name of a place where a result is to run: a target, which on the page is where bytes go.
	RuntimeName string
	// ContainerName is the name of a container.
	ContainerName string
	// HighNibble says what the high 4 bits of a byte with a 4-bit code are.
	HighNibble string
	// ClassName is the name of a layer class.
	ClassName string
)

// Runtime is a place where a result is to run. It has a container, and offers of its own.
type Runtime struct {
	Name       RuntimeName          `json:"name"`
	Container  ContainerName        `json:"container"`
	Global     coremltools.Global   `json:"global"` // what is meant where nothing is said
	DTypes     []scheme.WeightDType `json:"dtypes"`
	Grains     []Grain              `json:"grains"`
	Schemes    []scheme.Mode        `json:"schemes"`
	GroupSizes []int                `json:"group_sizes"`
	Edit       coremltools.Global   `json:"edit"`    // what is offered first for layers that are picked one by one
	Fixed      bool                 `json:"fixed"`   // the codes are the model's own: there is nothing to choose
	WhyNot     *Failure             `json:"why_not"` // why this model cannot go there; null when it can
}

// Container is one to save a model as.
type Container struct {
	Name        ContainerName `json:"name"`
	Extension   string        `json:"extension"`    // of a single file, with the dot
	HighNibbles bool          `json:"high_nibbles"` // it takes one of these
	Runtime     RuntimeName   `json:"for"`          // the place that alone reads it; "" where there are more
	WhyNot      *Failure      `json:"why_not"`      // why it cannot hold this model; null when it can
}

// Grain is how many weights share a scale.
type Grain struct {
	Name   scheme.Granularity `json:"name"`
	Blocks bool               `json:"blocks"` // it takes a group size
}

// Class is what a module can be set to.
type Class struct {
	Name  ClassName `json:"name"`
	Rank  int       `json:"rank"`  // axes of its weight
	Other bool      `json:"other"` // it stands for any other class, of any rank
}

// Defaults are what is chosen where nothing is said.
type Defaults struct {
	Global     coremltools.Global `json:"global"`
	Options    recipe.Options     `json:"options"`
	Runtime    RuntimeName        `json:"for"` // "" where a container is meant
	Container  ContainerName      `json:"container"`
	HighNibble HighNibble         `json:"high_nibble"`
}

// ChoicesFor are those for a model.
func ChoicesFor(m *model.Model) Choices {
	c := Choices{
		DTypes: scheme.DTypes, Schemes: []scheme.Mode{scheme.Symmetric, scheme.Affine}, GroupSizes: []int{16, 32, 64, 128},
		Defaults: Defaults{Global: coremltools.Global{}.Filled(), Options: recipe.Options{}.WithoutNulls(),
			Container: container.Default},
		Edit: coremltools.Global{
			DType: string(scheme.Int8), Granularity: string(scheme.PerChannel), GroupSize: "32",
			Scheme: string(scheme.Symmetric),
		},
	}
	for _, n := range container.HighNibbles {
		c.HighNibbles = append(c.HighNibbles, HighNibble(n))
	}
	c.Defaults.HighNibble = c.HighNibbles[0]
	c.Grains = grains(scheme.PerBlock, scheme.PerChannel, scheme.PerTensor)
	c.addRuntimes(m)
	for _, row := range container.Table {
		k := Container{Name: ContainerName(row.Name), Extension: row.Extension, HighNibbles: row.HighNibbles}
		if place := target.Of(row.Name); place != nil {
			k.Runtime = RuntimeName(place.Name)
		}
		if why := row.Takes(m); why != nil {
			f := FailureOf(why)
			k.WhyNot = &f
		}
		c.Containers = append(c.Containers, k)
	}
	for _, l := range layer.Table {
		if !l.Named {
			c.Classes = append(c.Classes, Class{ClassName(l.Name), l.Rank, l.Name == layer.Other})
		}
	}
	return c
}

// grains are granularities, and whether each takes a group size.
func grains(all ...scheme.Granularity) (out []Grain) {
	for _, g := range all {
		out = append(out, Grain{g, g == scheme.PerBlock})
	}
	return out
}

// addRuntimes adds the places where a result can run, and the one that is meant for the model.
func (c *Choices) addRuntimes(m *model.Model) {
	if row := target.Open(m); row != nil {
		c.Defaults.Runtime = RuntimeName(row.Name)
	}
	for _, row := range target.Table {
		t := Runtime{
			Name: RuntimeName(row.Name), Container: ContainerName(row.Container), Global: row.Usual,
			DTypes: row.Offers.DTypes, Grains: grains(row.Offers.Grains...), Schemes: row.Offers.Modes,
			GroupSizes: row.Offers.GroupSizes, Edit: row.Usual, Fixed: m.Quantized != nil,
		}
		t.Edit.DType = string(scheme.Int8)
		if why := row.Takes(m); why != nil {
			f := FailureOf(why)
			t.WhyNot = &f
		}
		c.Runtimes = append(c.Runtimes, t)
	}
}

// FailureOf is an error as the page gets it; one that is no fault of a file is the machine's.
func FailureOf(err error) Failure {
	f := Failure{Kind: Machine, Args: []any{}, Message: err.Error()}
	if errors.Is(err, context.Canceled) {
		f.Kind = Cancelled
	}
	var known *fault.Error
	if errors.As(err, &known) {
		f.Kind, f.Code, f.File, f.Tensor = known.Kind, known.Name, known.File, known.Tensor
		f.Args = append(f.Args, known.Args...)
	}
	return f
}
