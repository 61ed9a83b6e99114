package convert

import (
	"context"
	"iter"

	"nibble/quant/tile"
)

// batch is what a hand is given at a time.
type batch struct {
	jobs    []*job
	bytes   int64       // by weight
	split   *splitGroup // whose ranges it measures; nil for most
	results []*Result
	err     error
	done    chan struct{}
}

func (p *batch) add(j *job) {
	p.jobs = append(p.jobs, j)
	if j.task != nil {
		p.bytes += j.task.weight()
	}
}

func (p *batch) full(l tile.Limits) bool { return p.bytes >= l.Batch || len(p.jobs) >= l.Tasks }

// wait waits until it is done.
func (p *batch) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batches are all tasks of some runs, in their order. The ranges of a split group come before the
// tasks of the unit ahead of it, so that its scales are there when its turn comes.
func (s *sequence) batches(runs iter.Seq[*run]) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		p := &batch{}
		pack := func(u *unit) bool {
			for _, j := range u.jobs {
				if p.add(j); p.full(s.limits) {
					full := p
					if p = (&batch{}); !yield(full) {
						return false
					}
				}
			}
			return true
		}
		ahead := &unit{}
		for u := range s.units(runs) {
			for _, t := range u.split.measuring(s.limits.Batch) {
				m := &batch{split: u.split}
				if m.add(&job{task: t}); !yield(m) {
					return
				}
			}
			if !pack(ahead) {
				return
			}
			ahead = u
		}
		if pack(ahead) && len(p.jobs) > 0 {
			yield(p)
		}
	}
}

// start gives batches to hands as these come free. The channel it returns carries those
// that make a part of the output in their order, at most a few ahead of the writer.
func start(ctx context.Context, batches iter.Seq[*batch], hands []Hand) <-chan *batch {
	todo, order := make(chan *batch), make(chan *batch, len(hands))
	for _, h := range hands {
		go func() {
			for p := range todo {
				p.run(ctx, h)
			}
		}()
	}
	go func() {
		defer close(todo)
		defer close(order)
		for p := range batches {
			p.done = make(chan struct{})
			if !p.ready(ctx) || !send(ctx, todo, p) {
				return
			}
			if p.split == nil && !send(ctx, order, p) {
				return
			}
		}
	}()
	return order
}

func send(ctx context.Context, to chan<- *batch, p *batch) bool {
	select {
	case to <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

// ready waits for the scales that a batch needs. Their ranges were sent before it.
func (p *batch) ready(ctx context.Context) bool {
	p.results = make([]*Result, len(p.jobs))
	for i, j := range p.jobs {
		if j.task == nil { // of a run without values
			p.results[i] = &Result{}
		}
		if j.split == nil {
			continue
		}
		select {
		case <-j.split.ready:
		case <-ctx.Done():
			return false
		}
		switch {
		case j.split.err != nil:
			p.err = j.split.err
		case j.split.unfit != "":
			p.results[i] = &Result{Unfit: j.split.unfit}
		default:
			j.task.Split.Params = &j.split.params
		}
	}
	return true
}

// run has a hand do what has no result yet.
func (p *batch) run(ctx context.Context, h Hand) {
	defer close(p.done)
	var tasks []*Task
	for i, j := range p.jobs {
		if p.results[i] == nil {
			tasks = append(tasks, j.task)
		}
	}
	var made []*Result
	if p.err == nil && len(tasks) > 0 {
		made, p.err = h.Do(ctx, tasks)
	}
	if p.err == nil {
		for i := range p.results {
			if p.results[i] == nil {
				p.results[i], made = made[0], made[1:]
			}
		}
	}
	if p.split != nil {
		p.split.measured(p)
	}
}
