// Command nibble is the core on the command line:
//
//	nibble inspect PATH...  [--json]
//	nibble plan    PATH...  [--config FILE] [--to CONTAINER] [--json]
//	nibble convert PATH...  [--config FILE] [--to CONTAINER] -o OUT [--report FILE.json] [--hash]
//	nibble verify  OUT --against PATH... [--json]
//
// Results go to standard output, progress and errors to standard error. An error is
// one line: what, where, what to do. The exit status is 0 only when the file is
// complete (convert), or in order (verify); 1 is an error, 2 a wrong call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `nibble turns a model checkpoint into a 4-bit one.

  nibble inspect PATH...  [--json]
  nibble plan    PATH...  [--config FILE] [--to CONTAINER] [--json]
  nibble convert PATH...  [--config FILE] [--to CONTAINER] -o OUT [--report FILE.json] [--hash]
  nibble verify  OUT --against PATH... [--json]

PATH       a PyTorch checkpoint (.pt, .pth, .bin, .ckpt), a .safetensors file, or a folder with one
CONTAINER  packed (default), int8 (with --high-nibble sign or zero), coremltools
--config   a coremltools PostTrainingQuantizerConfig in JSON; without it: int4, blocks of 32
`

// errUsage is a wrong call.
var errUsage = errors.New("")

// commands is the literal table of the four.
var commands = map[string]func(ctx context.Context, c *call) error{
	"inspect": inspect,
	"plan":    planCommand,
	"convert": convertCommand,
	"verify":  verifyCommand,
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		fmt.Fprint(stdout, usage)
		return 0
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "nibble: there is no command %q; use inspect, plan, convert or verify\n", args[0])
		return 2
	}
	c := &call{stdout: stdout, stderr: stderr}
	if err := c.parse(args[0], args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, usage)
			return 0
		}
		fmt.Fprintf(stderr, "nibble: %v; nibble --help lists the options\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := command(ctx, c)
	c.close()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "nibble: %s; nibble --help lists the options\n", strings.TrimPrefix(err.Error(), ": "))
		return 2
	}
	fmt.Fprintf(stderr, "nibble: %v\n", err)
	return 1
}

// call is one command with its options and the files it opened.
type call struct {
	stdout, stderr io.Writer
	paths          []string
	against        []string
	config         string
	to, highNibble string
	out, report    string
	json, hash     bool
	opened         []*os.File
}

// parse takes options before, between and after the paths. Each command knows only
// its own. Paths after --against are what an output is held against.
func (c *call) parse(command string, args []string) error {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	if command != "convert" {
		f.BoolVar(&c.json, "json", false, "")
	}
	if command == "plan" || command == "convert" {
		f.StringVar(&c.config, "config", "", "")
		f.StringVar(&c.to, "to", "", "")
		f.StringVar(&c.highNibble, "high-nibble", "", "")
	}
	if command == "convert" {
		f.StringVar(&c.out, "o", "", "")
		f.StringVar(&c.report, "report", "", "")
		f.BoolVar(&c.hash, "hash", false, "")
	}
	into := &c.paths
	if command == "verify" {
		f.Func("against", "", func(path string) error {
			into = &c.against
			c.against = append(c.against, path)
			return nil
		})
	}
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
