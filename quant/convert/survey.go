package convert

import (
	"context"
	"errors"
	"sync"

	"nibble/quant/plan"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Survey reads every weight that a plan quantizes and finds those that the arithmetic
// cannot take: tensor -> why. Only users who would rather keep such a tensor than stop
// at it pay for this pass. progress counts bytes of source and may be nil.
func Survey(ctx context.Context, p *plan.Plan, o Options) (map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, found := make(chan *plan.Entry), make(chan finding)
	var workers sync.WaitGroup
	for range max(o.Workers, 1) {
		workers.Go(func() {
			var b buffers
			for e := range todo {
				found <- finding{e, b.surveyed(ctx, e)}
			}
		})
	}
	go func() {
		defer func() { close(todo); workers.Wait(); close(found) }()
		for i := range p.Entries {
			if !p.Entries[i].Quantize {
				continue
			}
			select {
			case todo <- &p.Entries[i]:
			case <-ctx.Done():
				return
			}
		}
	}()
	unfit, done, total := map[string]string{}, int64(0), Weights(p)
	var failed error
	for f := range found { // to the end, so that no worker is left behind
		var u *unfitError
		switch {
		case errors.As(f.err, &u):
			unfit[f.entry.Tensor.Name] = u.fault.What
		case f.err != nil && failed == nil:
			failed = f.err
			cancel()
		}
		if done += f.entry.Tensor.Bytes(); o.Progress != nil {
			o.Progress(done, total)
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	return unfit, failed
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

type finding struct {
	entry *plan.Entry
	err   error
}

// surveyed makes the scales of one weight and forgets them.
func (b *buffers) surveyed(ctx context.Context, e *plan.Entry) (err error) {
	defer caught(&err)
	for _, band := range bands(e) {
		if band.params != nil {
			if err := b.ranges(ctx, e, band.params); err != nil {
				return err
			}
			continue
		}
		for _, t := range band.tiles {
			if err := b.tileFits(ctx, e, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// tileFits makes the scales of a tile of whole blocks.
func (b *buffers) tileFits(ctx context.Context, e *plan.Entry, t tile.Tile) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.source = tensor.Buffer(b.source, int(t.Size(e.Tensor)))
	if err := t.Read(e.Tensor, b.source); err != nil {
		return err
	}
	if e.Tensor.DType == tensor.F64 {
		_, _, err = tileParams(e, tensor.View[float64](b.source))
	} else {
		_, _, err = tileParams(e, b.widen(e.Tensor.DType))
	}
	return err
}
