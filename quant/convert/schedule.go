package convert

import (
	"context"
	"iter"

	"nibble/quant/tile"
)

// batch is what a worker is given at a time.
type batch struct {
	tasks   []*placedTask
	bytes   int64       // of source, by their weight in a batch
	split   *splitGroup // that it measures; nil for a batch that makes bytes of the output
	results []*Result
	err     error
	done    chan struct{}
}

// add puts a task into the batch.
func (p *batch) add(j *placedTask) {
	p.tasks = append(p.tasks, j)
	if j.task != nil {
		p.bytes += j.task.weight()
	}
}

// full reports whether the batch has as much work as a worker is given at a time.
func (p *batch) full(l tile.Limits) bool { return p.bytes >= l.Batch || len(p.tasks) >= l.Tasks }

// wait returns when the batch is done, with its error, or when the conversion is cancelled.
func (p *batch) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batches are all tasks of some sections, in order. The tasks that measure a split group come before the tasks of the
// unit ahead of it, so that its scales are there when its turn comes.
func (s *sequence) batches(sections iter.Seq[*section]) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		p := &batch{}
		pack := func(u *unit) bool {
			for _, j := range u.tasks {
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
		for u := range s.units(sections) {
			for _, t := range u.split.measureTasks(s.limits.Batch) {
				m := &batch{split: u.split}
				if m.add(&placedTask{task: t}); !yield(m) {
					return
				}
			}
			if !pack(ahead) {
				return
			}
			ahead = u
		}
		if pack(ahead) && len(p.tasks) > 0 {
			yield(p)
		}
	}
}

// start gives batches to the workers as these come free. The channel it returns carries the batches that make bytes
// of the output, in order and at most a few ahead of the writer.
func start(ctx context.Context, batches iter.Seq[*batch], workers []Worker) <-chan *batch {
	todo, order := make(chan *batch), make(chan *batch, len(workers))
	for _, h := range workers {
		go func() {
			for p := range todo {
				p.do(ctx, h)
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

// send reports whether the batch was taken before the conversion was cancelled.
func send(ctx context.Context, to chan<- *batch, p *batch) bool {
	select {
	case to <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

// ready waits for the scales that the batch needs. It cannot wait for ever: the tasks that measure them were sent
// before.
func (p *batch) ready(ctx context.Context) bool {
	p.results = make([]*Result, len(p.tasks))
	for i, j := range p.tasks {
		if j.task == nil { // a section without values
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

// do has a worker do every task of the batch that has no result yet.
func (p *batch) do(ctx context.Context, h Worker) {
	defer close(p.done)
	var tasks []*Task
	for i, j := range p.tasks {
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
		p.split.addRanges(p)
	}
}
