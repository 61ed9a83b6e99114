package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/report"
)

// inspection is what inspect --json prints.
type inspection struct {
	Name    string       `json:"name"`
	Bytes   int64        `json:"bytes"`
	Format  string       `json:"format"`
	Tensors []tensorLine `json:"tensors"`
	Notes   []string     `json:"notes"`
}

type tensorLine struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape []int64 `json:"shape"`
	Bytes int64   `json:"bytes"`
}

func inspect(ctx context.Context, c *call) error {
	files, err := c.files(c.paths)
	if err != nil {
		return err
	}
	m, err := quant.Inspect(files)
	if err != nil {
		return err
	}
	out := inspection{Name: m.File.Name, Bytes: m.File.Size, Format: m.Format, Tensors: []tensorLine{}, Notes: append([]string{}, m.State.Notes...)}
	for i := range m.State.Tensors {
		t := &m.State.Tensors[i]
		out.Tensors = append(out.Tensors, tensorLine{t.Name, t.DType.String(), t.Shape, t.Bytes()})
	}
	if c.json {
		return c.printJSON(out)
	}
	c.printInspection(out)
	return nil
}

// job plans what the options say.
func (c *call) job() (*quant.Job, error) {
	files, err := c.files(c.paths)
	if err != nil {
		return nil, err
	}
	r, err := c.recipe()
	if err != nil {
		return nil, err
	}
	m, err := quant.Inspect(files)
	if err != nil {
		return nil, err
	}
	return quant.Plan(m, r, container.Options{To: c.to, HighNibble: c.highNibble})
}

func planCommand(ctx context.Context, c *call) error {
	j, err := c.job()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(j.Report())
	}
	c.printPlan(j.Report())
	return nil
}

func convertCommand(ctx context.Context, c *call) error {
	if c.out == "" {
		return fmt.Errorf("%wconvert needs -o OUT", errUsage)
	}
	j, err := c.job()
	if err != nil {
		return err
	}
	f, commit, err := c.create(c.out)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left of it once it is committed
	defer f.Close()
	if c.report != "" {
		if filepath.Clean(c.report) == filepath.Clean(c.out) {
			return fmt.Errorf("%wthe output and the report have one name", errUsage)
		}
		if err := c.writable(c.report); err != nil {
			return err
		}
	}
	r, err := quant.Convert(ctx, j, f, quant.Options{
		Name: c.out, Workers: runtime.NumCPU(), Hash: c.hash, Progress: c.progress(),
	})
	if err != nil {
		return err
	}
	if c.report != "" {
		if err := c.writeReport(c.report, r); err != nil {
			return err
		}
	}
	if err := commit(); err != nil {
		return err
	}
	c.printSummary(r)
	return nil
}

func (c *call) writeReport(path string, r *report.Report) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	f, commit, err := c.create(path)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(append(text, '\n')); err != nil {
		return err
	}
	return commit()
}

// progress shows how far the conversion is, on a terminal only.
func (c *call) progress() func(done, total int64) {
	f, ok := c.stderr.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	start, shown := time.Now(), time.Time{}
	return func(done, total int64) {
		if time.Since(shown) < 100*time.Millisecond && done < total {
			return
		}
		shown = time.Now()
		fmt.Fprintf(f, "\r%3d %%  %s of %s, %s/s ", done*100/max(total, 1), size(done), size(total),
			size(int64(float64(done)/max(time.Since(start).Seconds(), 0.001))))
		if done == total {
			fmt.Fprintln(f)
		}
	}
}

func verifyCommand(ctx context.Context, c *call) error {
	if len(c.paths) != 1 || len(c.against) == 0 {
		return fmt.Errorf("%wverify needs one output and --against its source", errUsage)
	}
	out, err := c.files(c.paths)
	if err != nil {
		return err
	}
	source, err := c.files(c.against)
	if err != nil {
		return err
	}
	r, err := quant.Verify(out, source, c.progress())
	if err != nil {
		return err
	}
	if c.json {
		err = c.printJSON(r)
	} else {
		c.printVerify(r)
	}
	if err == nil && !r.OK {
		err = fmt.Errorf("%s does not match %s; convert it again", c.paths[0], c.against[0])
	}
	return err
}
