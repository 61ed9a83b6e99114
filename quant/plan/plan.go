// Package plan makes every decision: which tensor is quantized, how, by which rule of the recipe, and why the others
// are kept.
//
// Build is a pure function of a state dict, a policy and options; it reads no weights, so a plan can be printed, tested
// and shown before any work. Nothing is skipped in silence: each tensor has a verdict with a reason. A bare state dict
// does not name its classes, so they are inferred (module.go, infer.go) and shown as inferred, unless the user sets
// them (classes.go). What becomes of a weight that is known for what it is, is for the policy to say, which sits above
// this package (recipe/...); the plan itself knows no tool's rules. It sees to it that the names of one weight have one
// verdict (tied.go) and that something is quantized (none.go). The containers and the executor only carry out what
// stands here.
//
// Only package quant is stable.
package plan

import (
	"nibble/quant/layer"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Weight is a tensor of a model, and what is known of it.
type Weight struct {
	Tensor    *tensor.Tensor
	Module    string      // dotted name; "" is the root
	Param     string      // what it is there: weight, bias, in_proj_weight, ...
	Class     layer.Class // of the module, with the axes of its outputs and inputs; no name when none was recognised
	ClassFrom Source      // FromFile, FromUser, Inferred, Guessed; "" without a class
	KeptAs    Reason      // why it is kept whatever a recipe says, by what it is; mostly none
}

// Settable reports whether a recipe, or a class that is set, could have the weight quantized.
func (w *Weight) Settable() bool { return w.Tensor.DType.Weight() && len(w.Tensor.Shape) >= 2 }

// Verdict is what becomes of a tensor.
type Verdict struct {
	Quantize bool
	Reason   Reason
	Rule     string // which rule of the recipe won; "" when none was asked
	ByName   bool   // the rule names the module
	Scheme   scheme.Scheme
	Grid     scheme.Grid // valid when Quantize
	Beyond   Reason      // quantized, though the tool that the policy follows would keep it: why it would
}

// Keep is the verdict of what is kept, for a reason.
func Keep(c Code, args ...any) Verdict { return Verdict{Reason: Because(c, args...)} }

// Entry is a tensor with its verdict.
type Entry struct {
	Weight
	Verdict
}

// Config is a recipe as a text that is kept: as compact JSON, and in forms for people.
type Config interface {
	Compact() []byte
	JSON() []byte
	YAML() []byte
}

// Policy turns a recipe into verdicts: the rules of a tool, and the config that a user gave.
type Policy interface {
	Config
	// Options are the options that the config itself asks for.
	Options() recipe.Options
	// Decide says what becomes of a weight. An error is a rule that cannot be followed.
	Decide(w *Weight, o *recipe.Options) (Verdict, error)
	// Export is the config that makes the tool itself do what a plan does. Notes say what no config can say.
	Export(p *Plan) (Config, []string)
	// Sentences are the policy's own, in English; they go before the plan's.
	Sentences() Sentences
}

// Fuser is a Policy of a tool that joins several weights to one when it loads them, so that their verdicts must be one.
type Fuser interface {
	// Fuse brings the verdicts of such weights together.
	Fuse(p *Plan)
}

// Plan is the verdicts in the order of the state dict.
type Plan struct {
	State    *tensor.StateDict
	Policy   Policy
	Options  recipe.Options
	Entries  []Entry
	Ties     []Tie // weights that are kept because another name of theirs is
	Conflict error // tied weights with different verdicts, or nothing to quantize: to be shown, not converted
	whole    *Plan // of which this is a shard; nil for a plan of its own
}

// IsShard reports whether it is the plan of one file of several.
func (p *Plan) IsShard() bool { return p.whole != nil }

// Shard is the plan of some entries, which go to a file of their own. Its recipe is still
// that of the whole.
func (p *Plan) Shard(entries []int) *Plan {
	shard := *p
	shard.Entries, shard.whole = make([]Entry, len(entries)), p
	for i, e := range entries {
		shard.Entries[i] = p.Entries[e]
	}
	return &shard
}

// Export is the config that makes the policy's tool do what the plan, or the whole of which it is a shard, does.
func (p *Plan) Export() (Config, []string) {
	if p.whole != nil {
		return p.whole.Export()
	}
	return p.Policy.Export(p)
}

// Build decides. An error is a pattern or a module type that cannot be right.
func Build(state *tensor.StateDict, policy Policy, o recipe.Options) (*Plan, error) {
	o = o.With(policy.Options()) // of types the first rule wins: the user's before the config's
	p := &Plan{State: state, Policy: policy, Options: o, Entries: make([]Entry, len(state.Tensors))}
	facts, known := newFacts(state), newClasses(state, o.Types)
	params, err := modules(state, facts, known)
	if err != nil {
		return nil, err
	}
	for i, m := range params {
		if p.Entries[i], err = p.decide(&state.Tensors[i], m); err != nil {
			return nil, err
		}
	}
	if f, ok := policy.(Fuser); ok {
		f.Fuse(p)
		for i := range p.Entries {
			p.fillText(&p.Entries[i].Reason)
		}
	}
	if p.Conflict = p.unifyTied(facts, known); p.Conflict == nil {
		p.Conflict = p.refuseNone()
	}
	return p, nil
}

// decide makes the entry of a tensor.
func (p *Plan) decide(t *tensor.Tensor, m param) (e Entry, err error) {
	e.Weight = Weight{Tensor: t, Module: m.module, Param: m.name, ClassFrom: m.source, KeptAs: m.kept}
	if m.class != "" {
		e.Class = layer.Of(m.class)
	}
	e.Verdict, err = p.Policy.Decide(&e.Weight, &p.Options)
	if why, unfit := p.Options.Keep[t.Name]; unfit && e.Quantize {
		e.Quantize, e.Beyond, e.Reason = false, Reason{}, Because(IsUnfit, Because(Code(why)))
	}
	if e.Scheme.Held = p.Options.Held; t.DType != tensor.BF16 {
		e.Scheme.NarrowScales = false
	}
	p.fillText(&e.Reason)
	p.fillText(&e.Beyond)
	return e, err
}
