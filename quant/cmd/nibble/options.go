package main

import (
	"flag"
	"fmt"
	"io"
	"runtime"
	"strconv"

	"nibble/quant"
	"nibble/quant/recipe"
)

// call is one command with its options and the files it opened.
type call struct {
	stdout, stderr io.Writer
	paths          []string
	against        []string
	config         string
	options        quant.Options
	out, export    string
	reports        []string
	json, quiet    bool
	opened         []input
	outside        map[string]bool // files that are links out of the folder they were found in
	force          bool
	ask            func(question string) bool // nil where nobody is there to be asked
	watch          func(done, total int64)    // is called with the progress, beside the terminal; for tests
}

// parse takes options before, between and after the paths. Paths after --against are what an output is held against.
func (c *call) parse(command string, args []string) error {
	into := &c.paths
	f := c.flags(command, func() { into = &c.against })
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		if f.NArg() == 0 {
			return nil
		}
		*into = append(*into, f.Arg(0))
		args = f.Args()[1:]
	}
}

// flags are the options of a command, which knows only its own. against is called when --against is seen.
func (c *call) flags(command string, against func()) *flag.FlagSet {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&c.quiet, "quiet", false, "")
	if command != "python" && command != "version" {
		f.Func("part", "", func(name string) error { c.options.Parts = append(c.options.Parts, name); return nil })
	}
	if command == "inspect" || command == "plan" || command == "verify" {
		f.BoolVar(&c.json, "json", false, "")
	}
	if command == "plan" || command == "convert" {
		f.StringVar(&c.config, "config", "", "")
		f.StringVar(&c.options.Global.DType, "dtype", "", "")
		f.StringVar(&c.options.Global.Granularity, "granularity", "", "")
		f.StringVar(&c.options.Global.GroupSize, "group-size", "", "")
		f.StringVar(&c.options.Global.Scheme, "scheme", "", "")
		f.StringVar(&c.options.Target, "for", "", "")
		f.StringVar(&c.options.Container, "to", "", "")
		f.StringVar(&c.options.HighNibble, "high-nibble", "", "")
		f.Func("module-type", "", func(text string) error {
			_, err := recipe.ParseType(text) // so that a wrong one is a wrong call
			c.options.ModuleTypes = append(c.options.ModuleTypes, text)
			return err
		})
		f.BoolVar(&c.options.IncludeEmbeddings, "include-embeddings", false, "")
		f.BoolVar(&c.options.CoremltoolsSkips, "coremltools-skips", false, "")
		f.BoolVar(&c.options.KeepUnfit, "keep-unfit", false, "")
		f.BoolVar(&c.options.AllowNone, "allow-none", false, "")
	}
	if command == "plan" {
		f.StringVar(&c.export, "export", "", "")
	}
	if command == "convert" {
		f.StringVar(&c.out, "o", "", "")
		f.Func("report", "", func(path string) error { c.reports = append(c.reports, path); return nil })
		f.BoolVar(&c.options.Hash, "hash", false, "")
		f.BoolVar(&c.force, "force", false, "")
		f.Func("workers", "", c.setWorkers)
	}
	if command == "verify" {
		f.Func("against", "", func(path string) error {
			c.against = append(c.against, path)
			against()
			return nil
		})
	}
	return f
}

// mostWorkers bounds --workers: each takes the memory of a batch.
const mostWorkers = 256

// setWorkers takes the value of --workers.
func (c *call) setWorkers(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostWorkers {
		return fmt.Errorf("it is a number from 1 to %d", mostWorkers)
	}
	c.options.Workers = n
	return nil
}

// workers is how many threads convert works with.
func (c *call) workers() int {
	if c.options.Workers > 0 {
		return c.options.Workers
	}
	return runtime.NumCPU()
}
