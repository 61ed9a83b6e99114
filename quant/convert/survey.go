package convert

import (
	"context"

	"nibble/quant/layout"
	"nibble/quant/plan"
)

// Survey reads every weight that the plan quantizes and finds those that the arithmetic cannot take: name of the
// tensor -> code of the reason. Only users who would rather keep such a tensor than stop at it pay for this pass.
func Survey(ctx context.Context, p *plan.Plan, o Options) (map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sections := func(yield func(*section) bool) {
		for i := range p.Entries {
			if e := &p.Entries[i]; e.Quantize && !yield(&section{Section: &layout.Section{Made: true, Entry: i}, entry: e}) {
				return
			}
		}
	}
	unfit, done, total := map[string]string{}, int64(0), SurveyBytes(p)
	s := sequence{plan: p, step: Check, limits: o.Limits.Filled()}
	for batch := range start(ctx, s.batches(sections), o.workers()) {
		if err := batch.wait(ctx); err != nil {
			return nil, err
		}
		for i, j := range batch.tasks {
			t := j.section.entry.Tensor
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

// SurveyBytes is how many bytes of source Survey reads.
func SurveyBytes(p *plan.Plan) (n int64) {
	for i := range p.Entries {
		if p.Entries[i].Quantize {
			n += p.Entries[i].Tensor.Bytes()
		}
	}
	return n
}
