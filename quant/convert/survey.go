package convert

import (
	"context"

	"nibble/quant/layout"
	"nibble/quant/plan"
)

// Survey reads every weight that a plan quantizes and finds those that the arithmetic
// cannot take: tensor -> the code of why. Only users who would rather keep such a tensor than stop
// at it pay for this pass.
func Survey(ctx context.Context, p *plan.Plan, o Options) (map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	runs := func(yield func(*run) bool) {
		for i := range p.Entries {
			if e := &p.Entries[i]; e.Quantize && !yield(&run{Section: &layout.Section{Made: true, Entry: i}, entry: e}) {
				return
			}
		}
	}
	unfit, done, total := map[string]string{}, int64(0), Weights(p)
	s := sequence{plan: p, step: Check, limits: o.Limits.Filled()}
	for batch := range start(ctx, s.batches(runs), o.hands()) {
		if err := batch.wait(ctx); err != nil {
			return nil, err
		}
		for i, j := range batch.jobs {
			t := j.run.entry.Tensor
			if what := batch.results[i].Unfit; what != "" && unfit[t.Name] == "" {
				unfit[t.Name] = string(what)
			}
			if j.last {
				done += t.Bytes()
			}
		}
		if o.Progress != nil {
			o.Progress(done, total)
		}
	}
	return unfit, ctx.Err()
}

// Weights is how many bytes of source Survey reads.
func Weights(p *plan.Plan) (n int64) {
	for i := range p.Entries {
		if p.Entries[i].Quantize {
			n += p.Entries[i].Tensor.Bytes()
		}
	}
	return n
}
