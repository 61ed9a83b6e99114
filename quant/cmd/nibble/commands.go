package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/report"
	"nibble/quant/tensor"
)

// inspection is what inspect --json prints.
type inspection struct {
	Name    string       `json:"name"`
	Bytes   int64        `json:"bytes"`
	Format  string       `json:"format"`
	Tensors []tensorLine `json:"tensors"`
	Notes   []string     `json:"notes"`

	Parts     []tensor.Part    `json:"parts"`     // of a file that holds several models; else empty
	Quantized *model.Quantized `json:"quantized"` // by what it is quantized already; null when it is not
	Missing   []string         `json:"missing"`   // shards that are not there
}

type tensorLine struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape []int64 `json:"shape"`
	Bytes int64   `json:"bytes"`
	// of codes in words: bits of each, and the shape of the weight; else 0 and null
	Bits   int     `json:"code_bits"`
	Weight []int64 `json:"weight_shape"`
}

// model opens what the paths name.
func (c *call) model() (*model.Model, error) {
	files, err := c.files(c.paths)
	if err != nil {
		return nil, err
	}
	o := c.options
	o.Folder = isFolder(c.paths)
	m, err := quant.Open(files, o)
	if err != nil {
		return nil, err
	}
	m.LeaveOut(func(name string) string {
		if c.outside[name] {
			return "is a link out of the folder"
		}
		return ""
	})
	roomFor(len(m.State.Tensors))
	return m, nil
}

// isFolder reports whether paths are one folder.
func isFolder(paths []string) bool {
	if len(paths) != 1 {
		return false
	}
	info, err := os.Stat(paths[0])
	return err == nil && info.IsDir()
}

func inspect(ctx context.Context, c *call) error {
	m, err := c.model()
	if err != nil {
		return err
	}
	out := inspection{Name: m.Name, Bytes: m.Bytes(), Format: m.Format, Tensors: []tensorLine{},
		Notes: append([]string{}, m.State.Notes...),
		Parts: append([]tensor.Part{}, m.State.Parts...), Quantized: m.Quantized, Missing: append([]string{}, m.Missing...)}
	packed := map[string]model.Packed{}
	for _, p := range m.Packed() {
		packed[p.Words] = p
	}
	for i := range m.State.Tensors {
		t := &m.State.Tensors[i]
		p := packed[t.Name]
		out.Tensors = append(out.Tensors, tensorLine{t.Name, t.DType.String(), t.Shape, t.Bytes(), p.Bits, p.Shape})
	}
	if c.json {
		return c.printJSON(out)
	}
	c.printInspection(out)
	return nil
}

// job plans what the options say.
func (c *call) job() (*quant.Job, error) {
	if err := c.readConfig(); err != nil {
		return nil, err
	}
	m, err := c.model()
	if err != nil {
		return nil, err
	}
	return quant.Plan(m, c.options)
}

func planCommand(ctx context.Context, c *call) error {
	if err := c.refuseOverlap(); err != nil {
		return err
	}
	j, err := c.job()
	if err != nil {
		return err
	}
	if c.json {
		if err := c.printJSON(j.Report()); err != nil {
			return err
		}
	} else {
		c.printPlan(j.Report())
	}
	if c.export != "" {
		if err := c.exportConfig(j); err != nil {
			return err
		}
	}
	return j.Conflict()
}

// exportConfig writes the recipe in the words of coremltools, and says what they lack.
func (c *call) exportConfig(j *quant.Job) error {
	text, yaml, notes := j.Config()
	switch strings.ToLower(filepath.Ext(c.export)) {
	case ".yaml", ".yml":
		text = yaml
	case ".json":
	default:
		return fault.Not(c.export, "a config is JSON or YAML").Hint("let its name end in .json or .yaml")
	}
	for _, n := range notes {
		c.note(c.stderr, n)
	}
	return c.replace(c.export, func(w io.Writer) error { _, err := w.Write(text); return err })
}

func convertCommand(ctx context.Context, c *call) error {
	if c.out == "" {
		return fmt.Errorf("%wconvert needs -o OUT", errUsage)
	}
	if err := c.refuseOverlap(); err != nil {
		return err
	}
	j, err := c.job()
	if err != nil {
		return err
	}
	out, err := c.output(j)
	if err != nil {
		return err
	}
	defer out.discard() // nothing is left of it once it is committed
	for _, path := range c.reports {
		if err := c.writable(path); err != nil {
			return err
		}
		if _, err := report.Form(path); err != nil {
			return err
		}
	}
	c.options.Name, c.options.Progress, c.options.Workers = c.out, c.progress(), c.workers()
	r, err := quant.ConvertTo(ctx, j, out.create, c.options)
	if err != nil {
		return err
	}
	if err := c.unchanged(j.Model); err != nil {
		return err
	}
	for _, path := range c.reports {
		if err := c.writeReport(path, r); err != nil {
			return err
		}
	}
	if err := out.commit(); err != nil {
		return err
	}
	c.printSummary(r)
	return nil
}

func (c *call) writeReport(path string, r *report.Report) error {
	write, err := report.Form(path)
	if err != nil {
		return err
	}
	return c.replace(path, func(w io.Writer) error { return write(r, w) })
}

// replace writes a small file whole or not at all.
func (c *call) replace(path string, write func(w io.Writer) error) error {
	f, commit, err := c.create(path)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return commit()
}

// progress shows how far the conversion is, on a terminal only.
func (c *call) progress() func(done, total int64) {
	if c.watch != nil {
		return c.watch
	}
	f, ok := c.stderr.(*os.File)
	if !ok || !isTerminal(f) || c.quiet {
		return nil
	}
	start, shown := time.Now(), time.Time{}
	return func(done, total int64) {
		if time.Since(shown) < 100*time.Millisecond && done < total {
			return
		}
		shown = time.Now()
		fmt.Fprintf(f, "\r%3d %%  %s of %s, %s/s ", done*100/max(total, 1), report.Size(done), report.Size(total),
			report.Size(int64(float64(done)/max(time.Since(start).Seconds(), 0.001))))
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
	c.options.Folder = isFolder(c.against)
	made, err := quant.OpenOutput(out)
	if err != nil {
		return err
	}
	if len(c.options.Parts) == 0 {
		c.options.Parts = quant.PartsOf(made)
	}
	from, err := quant.Open(source, c.options)
	if err != nil {
		return err
	}
	roomFor(len(made.State.Tensors) + len(from.State.Tensors))
	c.options.Progress = c.progress()
	r, err := quant.VerifyModels(ctx, made, from, c.options)
	if err != nil {
		return err
	}
	if c.json {
		err = c.printJSON(r)
	} else {
		c.printVerify(r)
	}
	if err == nil && !r.OK {
		do := "convert it again"
		if len(from.State.Parts) > 1 {
			do += ", or say with --part which of the models in " + c.against[0] + " it was made of"
		}
		err = fmt.Errorf("%s does not match %s; %s", c.paths[0], c.against[0], do)
	}
	return err
}

// pythonCommand prints the lines that load an output where it is to run, or take it to Core ML.
func pythonCommand(ctx context.Context, c *call) error {
	if len(c.paths) != 1 {
		return fmt.Errorf("%wpython needs one output", errUsage)
	}
	m, err := c.model()
	if err != nil {
		return err
	}
	return quant.Python(c.stdout, m, c.paths[0])
}

// versionCommand prints the version.
func versionCommand(_ context.Context, c *call) error {
	if len(c.paths) > 0 {
		return fmt.Errorf("%wversion takes no file", errUsage)
	}
	_, err := fmt.Fprintln(c.stdout, "nibble", quant.Version)
	return err
}
