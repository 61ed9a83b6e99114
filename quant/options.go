package quant

import (
	"cmp"

	"nibble/quant/container"
	"nibble/quant/convert"
	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/recipe/target"
)

// Options is all that a call can be asked for. The zero value is the default of every field; each says which calls read
// it, the others do not.
type Options struct {
	// Folder says that the files are all of a folder, which may be one. Open reads it.
	Folder bool
	// Parts name the models that are meant of a file that holds several, by the keys that lead to them ("net.bert", or
	// only the last ones). Open reads it; without it the parts that the config names. Verify reads it, too; without it
	// the parts that the output says it was made of.
	Parts []string

	// Config is a coremltools PostTrainingQuantizerConfig in JSON or YAML, which may have one more key, nibble, for what
	// coremltools has no word for (for, part, module_type and so on); without one Global says it, and what that leaves
	// out is the place's usual, or DefaultConfig. Open and Plan read it.
	Config []byte
	// ConfigName is what errors call the config. Open and Plan read it.
	ConfigName string
	// Global is a config of one entry for all layers, in words, where there is no Config. Plan reads it.
	Global Words
	// Edits are modules that were set by hand; they win over the config. Plan reads them.
	Edits []Edit
	// Policy decides instead of all of these, for tests. It is a type of the rooms, and not stable. Plan reads it.
	Policy plan.Policy

	// Target is where the result is to run: transformers, vllm or mlx. It chooses the container, the rounding, and what
	// is meant where nothing is said; "" is what the config names. A folder in Hugging Face's form whose config.json
	// names an architecture is for transformers where neither Target nor Config nor Container is given. Plan reads it.
	Target string
	// Container is the output's form: packed (the default), int8, coremltools or mlx. Plan reads it.
	Container string
	// HighNibble says what the high 4 bits of a byte with a 4-bit code are in the container int8: sign (the default) or
	// zero. Plan reads it.
	HighNibble string

	// ModuleTypes set the classes of modules, as PATTERN=CLASS: all whose name the pattern (Python's re.fullmatch)
	// matches; the first match wins. Plan reads it.
	ModuleTypes []string
	// IncludeEmbeddings quantizes embeddings too, which coremltools cannot. Plan reads it, and refuses it for places that
	// have rules of their own for layers.
	IncludeEmbeddings bool
	// CoremltoolsSkips keeps each layer that coremltools would skip. Plan reads it, and refuses it likewise.
	CoremltoolsSkips bool
	// KeepUnfit keeps tensors that hold NaN or infinity, or more than the arithmetic can; without it the first of them is
	// an error. Plan reads it; Convert, ConvertTo and Measure then read the weights once more, to find them.
	KeepUnfit bool
	// Unfit are tensors that are known to be so, by name, with the code of why; they are kept. Plan reads it.
	Unfit map[string]string
	// AllowNone makes a job without a conflict where nothing would be quantized. Plan reads it.
	AllowNone bool
	// Least is how large a weight must be to be quantized where coremltools would not. Plan reads it.
	Least Least

	// Name is what the report calls the output, and what Create is called with where the output is one file. Convert and
	// ConvertTo read it.
	Name string
	// Workers is how many goroutines do the work; 1 where it is 0. Convert, ConvertTo and Measure read it.
	Workers int
	// Pool is workers elsewhere that do it instead, such as the web workers of a page. Convert, ConvertTo and Measure
	// read it.
	Pool []Worker
	// Limits are the sizes at which work is cut; none changes a byte of the output. Convert, ConvertTo, Measure and the
	// verifying calls read it.
	Limits Limits
	// Hash takes the SHA-256 of inputs and outputs, which costs more than quantizing. Convert and ConvertTo read it.
	Hash bool
	// Progress is called, from one goroutine, with the bytes of source that are done and with all of them. Convert,
	// ConvertTo and the verifying calls read it.
	Progress func(done, total int64)
}

// parts are the parts of a file that are meant: those that are named, or those that the config names.
func (o *Options) parts() ([]string, error) {
	if len(o.Parts) > 0 || len(o.Config) == 0 {
		return o.Parts, nil
	}
	r, err := coremltools.Parse(o.ConfigName, o.Config)
	if err != nil {
		return nil, err
	}
	return r.Options().Parts, nil
}

// decide finds what decides for a model: the policy, and the place that it is for; nil where none is meant. The
// container is then the place's.
func (o *Options) decide(m *Model) (plan.Policy, *target.Row, error) {
	if o.Policy != nil {
		return o.Policy, nil, nil
	}
	row, r, err := o.place(m)
	if err != nil {
		return nil, nil, err
	}
	usual := coremltools.Global{}
	if row != nil {
		if usual = row.Usual; o.Container == "" {
			o.Container = row.Container
		}
		if o.Container != row.Container {
			return nil, nil, fault.Not("", "%s reads the container %s, not %s", row.Name, row.Container, o.Container).
				Hint("leave one of the two out")
		}
		if why := row.Takes(m); why != nil {
			return nil, nil, why
		}
	}
	if asked := o.layersAsked(r); row != nil && row.Layers && asked != "" {
		return nil, nil, fault.Not("", "%s is of coremltools' rules for layers, and %s has its own", asked, row.Name).
			Hint("leave it out")
	}
	if row != nil && m.Quantized != nil {
		if o.asksNumbers(r) {
			return nil, nil, fault.Not(m.Name, "it is quantized already, and its codes stay as they are").
				Code(fault.CodesStay).Hint("leave out what the recipe asks for beside %s", row.Name)
		}
		policy, err := row.Relabel(m)
		return policy, row, err
	}
	if r, err = o.orUsual(r, usual); err != nil {
		return nil, nil, err
	}
	if len(o.Edits) > 0 {
		if r, err = r.Edited(o.Edits, usual); err != nil {
			return nil, nil, coremltools.WithoutLine(err)
		}
	}
	if row == nil {
		return r, nil, nil
	}
	return row.Policy(r, m.Config), row, nil
}

// orUsual is the recipe of a config; where there is none, or it only says where the result is to run, that of the
// words of Global, and of those that are usual.
func (o *Options) orUsual(r *coremltools.Recipe, usual coremltools.Global) (*coremltools.Recipe, error) {
	if r != nil && (!r.Silent() || r.Options().For == "") {
		return r, nil
	}
	words, err := coremltools.Parse("", o.Global.Over(usual).Config())
	if err != nil {
		return nil, coremltools.WithoutLine(err)
	}
	if r != nil {
		words = words.Asking(r.Options())
	}
	return words, nil
}

// layersAsked is the option that is asked for of coremltools' rules for layers; "" for none.
func (o *Options) layersAsked(config *coremltools.Recipe) string {
	asked := recipe.Options{Embeddings: o.IncludeEmbeddings, CoremltoolsSkips: o.CoremltoolsSkips}
	if config != nil {
		asked = asked.With(config.Options())
	}
	switch {
	case asked.Embeddings:
		return "include_embeddings"
	case asked.CoremltoolsSkips:
		return "coremltools_skips"
	}
	return ""
}

// asksNumbers reports whether something is asked for of the numbers.
func (o *Options) asksNumbers(config *coremltools.Recipe) bool {
	asked, err := o.beyondConfig()
	if config != nil {
		own := config.Options()
		own.For, own.Parts = "", nil
		if !config.Silent() || !own.IsZero() {
			return true
		}
	}
	asked.AllowNone = false
	return err != nil || o.Global != Words{} || len(o.Edits) > 0 || !asked.IsZero()
}

// relabels reports whether what is asked for is a place with a form for codes that are there already. Whether it has
// one for these, it says itself.
func (o *Options) relabels(m *Model) bool {
	row, _, err := o.place(m)
	return err == nil && row != nil && row.Relabels != nil && o.Policy == nil
}

// place is the row of the place that is asked for, or meant, nil where there is none; and the config, nil where none
// is given.
func (o *Options) place(m *Model) (row *target.Row, r *coremltools.Recipe, err error) {
	name := o.Target
	if len(o.Config) > 0 {
		if r, err = coremltools.Parse(o.ConfigName, o.Config); err != nil {
			return nil, nil, err
		}
		name = cmp.Or(name, r.Options().For)
	}
	switch {
	case name != "":
		row, err = target.Find(name)
	case o.Container != "":
		row = target.Of(o.Container)
	case r == nil:
		row = target.Home(m)
	}
	return row, r, err
}

// beyondConfig are the options that stand in a config's key nibble, as the plan has them.
func (o *Options) beyondConfig() (recipe.Options, error) {
	out := recipe.Options{
		Embeddings: o.IncludeEmbeddings, CoremltoolsSkips: o.CoremltoolsSkips, KeepUnfit: o.KeepUnfit,
		AllowNone: o.AllowNone, Keep: o.Unfit, Least: o.Least,
	}
	for _, text := range o.ModuleTypes {
		rule, err := recipe.ParseType(text)
		if err != nil {
			return out, err
		}
		out.Types = append(out.Types, rule)
	}
	return out, nil
}

// container are the options of the container.
func (o *Options) container() container.Options {
	return container.Options{To: o.Container, HighNibble: o.HighNibble, Version: Version}
}

// executor are the options of the executor.
func (o *Options) executor(progress convert.Progress) convert.Options {
	return convert.Options{Workers: o.Workers, Pool: o.Pool, Limits: o.Limits, Progress: progress}
}
