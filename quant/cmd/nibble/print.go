package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"

	"nibble/quant/plan"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/verify"
)

// printJSON prints a value; what a terminal would act on is escaped, which means the same in JSON.
func (c *call) printJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(c.stdout, escaped(b.String(), func(r rune) bool { return r == '\n' || unicode.IsPrint(r) },
		func(out *strings.Builder, r rune) {
			if r > 0xffff {
				high, low := utf16.EncodeRune(r)
				fmt.Fprintf(out, "\\u%04x\\u%04x", high, low)
				return
			}
			fmt.Fprintf(out, "\\u%04x", r)
		}))
	return err
}

// escaped writes the runes of a text that are not plain in another way.
func escaped(text string, plain func(r rune) bool, write func(out *strings.Builder, r rune)) string {
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if plain(r) {
			out.WriteRune(r)
		} else {
			write(&out, r)
		}
	}
	return out.String()
}

// visible is a line of text in which a terminal finds nothing to act on: no escapes, no ends of lines, no marks
// that turn the direction of writing. All that came from a file, a config or a path is printed so.
func visible(text string) string {
	return escaped(text, unicode.IsPrint, func(out *strings.Builder, r rune) {
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	})
}

// shape prints sizes as 64 x 32.
func shape(s []int64) string {
	if len(s) == 0 {
		return "scalar"
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(s), "[]"), " ", " x ")
}

// printable is a tensor's name, quoted when it would not print as one word.
func printable(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 || len(name) > 300 {
		return strconv.Quote(name[:min(len(name), 300)])
	}
	return name
}

func (c *call) table(rows func(w *tabwriter.Writer)) {
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	rows(w)
	w.Flush() // stdout keeps its first error
}

// notes prints notes, unless quiet is asked for.
func (c *call) notes(notes []string) {
	for _, n := range notes {
		c.note(c.stdout, n)
	}
}

// note prints one note, unless quiet is asked for.
func (c *call) note(w io.Writer, text string) {
	if !c.quiet {
		fmt.Fprintln(w, "note:", printable(text))
	}
}

func (c *call) printInspection(x inspection) {
	fmt.Fprintf(c.stdout, "%s: %s, %d tensors, %s\n", visible(x.Name), x.Format, len(x.Tensors), report.Size(x.Bytes))
	if x.Quantized != nil {
		fmt.Fprintf(c.stdout, "quantized already: %s, %d weights\n", visible(x.Quantized.By), x.Quantized.Weights)
	}
	c.printParts(x.Parts)
	if len(x.Missing) > 0 {
		missing := strings.Join(x.Missing[:min(len(x.Missing), 20)], ", ")
		fmt.Fprintf(c.stdout, "warning: this is one file of a model of several; missing are %s\n", visible(missing))
	}
	c.table(func(w *tabwriter.Writer) {
		for _, t := range x.Tensors {
			size := report.Size(t.Bytes)
			if t.Bits > 0 {
				size += fmt.Sprintf("\t%s in %d bits", shape(t.Weight), t.Bits)
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", printable(t.Name), t.DType, shape(t.Shape), size)
		}
	})
	c.notes(x.Notes)
}

// printParts lists the models of a file that holds several.
func (c *call) printParts(parts []tensor.Part) {
	if len(parts) == 0 {
		return
	}
	what := "take one or more with --part NAME:"
	if slices.ContainsFunc(parts, func(p tensor.Part) bool { return p.Chosen }) {
		what = "--part NAME takes another, or more than one:"
	}
	fmt.Fprintln(c.stdout, "the file holds several models;", what)
	c.table(func(w *tabwriter.Writer) {
		for _, p := range parts {
			taken, ema := "", ""
			if p.Chosen {
				taken = "taken"
			}
			if p.EMA {
				ema = "EMA weights"
			}
			fmt.Fprintf(w, "  %s\t%d tensors\t%s\t%s\t%s\n", printable(p.Name), p.Tensors, report.Size(p.Bytes), ema, taken)
		}
	})
}

// sums is what goes in and what comes out: the weights alone, and beside them what is left out.
func sums(r *report.Report) string {
	in := r.Source()
	text := fmt.Sprintf("%s, %s of weights", in.Format, report.Size(r.Totals.Weights))
	if r.Totals.LeftOut > 0 {
		text += fmt.Sprintf(" (and %s of other parts, optimizers and the like, left out)", report.Size(r.Totals.LeftOut))
	}
	text += fmt.Sprintf(" -> %s, %s", r.Output.Format, report.Size(r.Output.Bytes))
	if times := float64(r.Totals.Weights) / float64(max(r.Output.Bytes, 1)); times > 1 {
		text += fmt.Sprintf(", %.1f times smaller", times)
	}
	return text
}

// advise prints warnings and, unless quiet is asked for, advice on what would quantize more, with the command's
// options.
func (c *call) advise(r *report.Report) {
	for _, w := range r.Warnings {
		fmt.Fprintf(c.stdout, "warning: %s\n", visible(w.Text))
	}
	for _, a := range r.Advice {
		if a.Fits && !c.quiet {
			fmt.Fprintf(c.stdout, "advice: %s%s\n", visible(a.Words()), option(a.About))
			if a.Python != "" {
				fmt.Fprintln(c.stdout, a.Python)
			}
		}
	}
}

func (c *call) printPlan(r *report.Report) {
	fmt.Fprintf(c.stdout, "%s: %s\n", visible(r.Source().Name), sums(r))
	c.printParts(r.Parts)
	c.table(func(w *tabwriter.Writer) {
		for _, t := range r.Tensors {
			verdict, why := string(t.Verdict), t.Reason
			if t.Scheme != nil {
				verdict = schemeText(t.Scheme)
				if t.Code != plan.Relabelled {
					why = fmt.Sprintf("%s (%s), %s", t.ModuleType, t.TypeSource, t.Rule)
				}
				if t.Beyond != "" {
					why += "; coremltools keeps it: " + t.Beyond
				}
			} else if t.Rule != "" {
				why += " (" + t.Rule + ")"
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s -> %s\t%s\n", printable(t.Name), t.DType, shape(t.Shape), verdict,
				report.Size(t.BytesIn), report.Size(t.BytesOut), visible(why))
		}
	})
	c.notes(r.Notes)
	c.advise(r)
	fmt.Fprintf(c.stdout, "%d of %d tensors are quantized\n", r.Totals.Quantized, r.Totals.Tensors)
}

func schemeText(s *report.Scheme) string {
	text := fmt.Sprintf("%s %s %s", s.WeightDType, s.Mode, s.Granularity)
	if s.BlockSize != nil {
		text += " " + strings.ReplaceAll(strings.Trim(fmt.Sprint(s.BlockSize), "[]"), " ", "x")
	}
	return text
}

// printSummary prints what a conversion made; only warnings where quiet is asked for.
func (c *call) printSummary(r *report.Report) {
	if c.quiet {
		c.advise(r)
		return
	}
	fmt.Fprintf(c.stdout, "%s: %s", visible(r.Output.Name), sums(r))
	fmt.Fprintf(c.stdout, ", %d of %d tensors quantized", r.Totals.Quantized, r.Totals.Tensors)
	if r.Totals.SQNR != nil {
		fmt.Fprintf(c.stdout, ", SQNR %.2f dB", *r.Totals.SQNR)
	}
	fmt.Fprintln(c.stdout)
	c.printParts(r.Parts)
	c.notes(r.Notes)
	c.advise(r)
	for _, t := range r.Tensors {
		if r.Options.KeepUnfit && t.Code == plan.IsUnfit {
			fmt.Fprintf(c.stdout, "note: %s is kept: %s\n", printable(t.Name), visible(t.Reason))
		}
	}
}

func (c *call) printVerify(r *verify.Report) {
	kept, quantized := 0, 0
	c.table(func(w *tabwriter.Writer) {
		for _, t := range r.Tensors {
			switch {
			case !t.OK:
				fmt.Fprintf(w, "  %s\twrong: %s\n", printable(t.Name), visible(t.Problem))
			case t.Verdict == "keep":
				kept++
			default:
				quantized++
			}
		}
	})
	if c.quiet && kept+quantized == len(r.Tensors) {
		return
	}
	fmt.Fprintf(c.stdout, "%s: %d quantized tensors recomputed with the same numbers, %d kept byte for byte, %d wrong\n",
		r.Container, quantized, kept, len(r.Tensors)-kept-quantized)
}
