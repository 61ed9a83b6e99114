// Package cases makes small random conversions: a model of any kind, a recipe, a container and limits
// so tiny that every size at which the executor goes another way is crossed. A seed is a case, the same
// everywhere. In each weight some groups are far quieter than the rest, so that the scale of another
// group shows.
//
// The core's tests hold each case against testkit/plain, and ./build.sh mutants does so with faults in
// the executor.
package cases

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/tile"
)

// Case is one conversion.
type Case struct {
	Seed      uint64
	Files     []*tensor.File
	Config    string
	Target    string // where it is to run; "" where a container is meant
	Plan      recipe.Options
	Container container.Options
	Limits    tile.Limits
	Workers   int
}

// New is the case of a seed.
func New(seed uint64) *Case {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 17))}
	c := &Case{Seed: seed, Workers: 1 + m.IntN(5)}
	var modules []string
	c.Files, modules = m.model()
	c.Config = m.config(modules)
	c.Plan = recipe.Options{Embeddings: m.chance(4), CoremltoolsSkips: m.chance(6), KeepUnfit: m.poisoned || m.chance(10),
		AllowNone: true, Least: recipe.Least{Inputs: 1, Weights: 1}}
	c.Container = pick(m, []container.Options{{To: "packed"}, {To: "coremltools"}, {To: "int8"},
		{To: "int8", HighNibble: "zero"}})
	if len(c.Files) > 1 && !m.double && m.chance(2) {
		c.Target = pick(m, quant.Targets())
		c.Container = container.Options{To: "packed"}
		c.Config = m.configFor(c.Target)
		if c.Target == "mlx" {
			c.Container.To = c.Target
		}
	}
	c.Limits = tile.Limits{
		Tile:       pick(m, []int64{1, 60, 64, 200, 500, 1000, 4000, 0}),
		Window:     pick(m, []int64{1, 10, 64, 300, 0}),
		Page:       pick(m, []int64{1, 20, 100, 0}),
		Chunk:      pick(m, []int{1, 3, 8, 50, 400, 0}),
		Batch:      pick(m, []int64{1, 100, 300, 600, 1200, 2400, 5000, 0}),
		Tasks:      pick(m, []int{1, 2, 3, 0}),
		Scales:     pick(m, []int64{1, 8, 16, 40, 0}),
		Held:       pick(m, []int64{1, 30, 200, 0}),
		Histograms: pick(m, []int{1, 2, 0, 0}),
		Samples:    pick(m, []int64{7, 100, 0}),
	}
	return c
}

func (c *Case) String() string {
	names := ""
	for _, f := range c.Files {
		names += fmt.Sprintf(" %s (%d bytes)", f.Name, f.Size)
	}
	return fmt.Sprintf("case %d:%s for %q, to %s%s, %d workers, limits %+v, config %s",
		c.Seed, names, c.Target, c.Container.To, c.Container.HighNibble, c.Workers, c.Limits, c.Config)
}

// Job plans it.
func (c *Case) Job() (*quant.Job, error) {
	m, err := quant.Open(c.Files, quant.Options{})
	if err != nil {
		return nil, err
	}
	if c.Target != "" {
		return quant.Plan(m, quant.Options{Target: c.Target, Config: []byte(c.Config), KeepUnfit: c.Plan.KeepUnfit,
			AllowNone: true, Unfit: c.Plan.Keep})
	}
	r, err := coremltools.Parse("config", []byte(c.Config))
	if err != nil {
		return nil, err
	}
	return testkit.Plan(m, r, c.Plan, c.Container)
}

// Options are those of the conversion, by workers of this process.
func (c *Case) Options() quant.Options {
	return quant.Options{Name: "out", Workers: c.Workers, Limits: c.Limits}
}

// Convert makes the output's files, in memory.
func (c *Case) Convert(j *quant.Job, o quant.Options) ([]*tensor.File, *report.Report, error) {
	var made []*made
	r, err := quant.ConvertTo(context.Background(), j, func(name string, _ int64) (io.WriteCloser, error) {
		f := newMade(name)
		made = append(made, f)
		return f, nil
	}, o)
	var files []*tensor.File
	for _, f := range made {
		files = append(files, &tensor.File{Name: f.name, Size: int64(f.Len()), R: bytes.NewReader(f.Bytes())})
	}
	return files, r, err
}

// made is a file of the output.
type made struct {
	bytes.Buffer
	name string
}

func newMade(name string) *made { return &made{name: name} }

func (*made) Close() error { return nil }

// maker makes random choices.
type maker struct {
	*rand.Rand
	poisoned bool // a weight holds what cannot be quantized
	double   bool // a weight is float64, for which some methods have no arithmetic
}

// chance is true once in n times.
func (m *maker) chance(n int) bool { return m.IntN(n) == 0 }

func pick[T any](m *maker, from []T) T { return from[m.IntN(len(from))] }

// config is a recipe, with rules of their own for some modules.
func (m *maker) config(modules []string) string {
	mode := pick(m, []string{"symmetric", "affine"}) // one for the whole recipe
	text := `{"global_config":` + m.scheme(mode)
	rules := ""
	for _, name := range modules {
		if m.chance(5) {
			if rules != "" {
				rules += ","
			}
			rules += fmt.Sprintf("%q:%s", name, m.scheme(mode))
		}
	}
	if rules != "" {
		text += `,"module_name_configs":{` + rules + "}"
	}
	return text + "}"
}

func (m *maker) scheme(mode string) string {
	dtype := pick(m, []string{"int4", "uint4", "int8", "uint8"})
	granularity := pick(m, []string{"per_tensor", "per_channel", "per_block", "per_block"})
	text := fmt.Sprintf(`{"weight_dtype":%q,"quantization_scheme":%q,"granularity":%q`, dtype, mode, granularity)
	if granularity == "per_block" {
		size := pick(m, blockSizes)
		if m.chance(2) {
			text += fmt.Sprintf(`,"block_size":%d`, size)
		} else {
			text += fmt.Sprintf(`,"block_size":[%d,%d]`, pick(m, []int{1, 2, 4, 8, 0}), size)
		}
	}
	return text + "}"
}

// configFor is a recipe for a place where a model is to run.
func (m *maker) configFor(target string) string {
	mode, size := pick(m, []string{"symmetric", "affine"}), pick(m, []int{8, 16, 32, 64, 128})
	if target == "mlx" {
		size = pick(m, []int{32, 32, 64, 128})
	}
	dtype := pick(m, []string{"int4", "int4", "int8"})
	if target != "mlx" && m.chance(4) {
		return fmt.Sprintf(`{"global_config":{"weight_dtype":%q,"quantization_scheme":%q,"granularity":"per_channel"}}`,
			dtype, mode)
	}
	return fmt.Sprintf(`{"global_config":{"weight_dtype":%q,"quantization_scheme":%q,"granularity":"per_block",`+
		`"block_size":%d}}`, dtype, mode, size)
}

// blockSizes are those of configs; many shapes are multiples of them.
var blockSizes = []int{1, 2, 3, 5, 8, 16, 32}
