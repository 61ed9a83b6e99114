package report

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"

	"nibble/quant/kernel"
)

//go:embed report.css
var style string

// HTML writes one page that needs nothing beside itself: no script, no font, no image.
// Every text that came from a file is escaped.
func (r *Report) HTML(w io.Writer) error {
	b := &strings.Builder{}
	put := func(format string, args ...any) {
		for i, a := range args {
			if s, ok := a.(string); ok {
				args[i] = html.EscapeString(s)
			}
		}
		fmt.Fprintf(b, format, args...)
	}
	in := r.Source()
	put(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, ` +
		`initial-scale=1">`)
	put(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src `+
		`'unsafe-inline'"><title>%s</title><style>`, in.Name)
	b.WriteString(style)
	put(`</style><h1>%s</h1><p class="meta">%s → %s, %s → %s</p>`, in.Name, Size(r.Totals.Weights), Size(r.Output.Bytes),
		in.Format, r.Output.Format)
	if r.Totals.LeftOut > 0 {
		put(`<p class="meta">%s of other parts, optimizers and the like are left out.</p>`, Size(r.Totals.LeftOut))
	}
	put(`<dl><dt>quantized</dt><dd>%d of %d tensors</dd>`, r.Totals.Quantized, r.Totals.Tensors)
	for _, f := range r.Totals.list() {
		put(`<dt>%s</dt><dd>%s</dd>`, f[0], f[1])
	}
	put(`</dl>`)
	if len(r.Warnings) > 0 {
		put(`<h2>Warnings</h2><ul>`)
		for _, w := range r.Warnings {
			put(`<li>%s</li>`, w.Text)
		}
		put(`</ul>`)
	}
	for _, advised := range []struct {
		title string
		fits  bool
	}{{"What is kept", true}, {"On Apple’s devices", false}} {
		list := slices.DeleteFunc(slices.Clone(r.Advice), func(a Advice) bool { return a.Fits != advised.fits })
		if len(list) == 0 {
			continue
		}
		put(`<h2>%s</h2><ul>`, advised.title)
		for _, a := range list {
			put(`<li>%s`, a.Words())
			if a.Python != "" {
				put(`<pre>%s</pre>`, a.Python)
			}
			put(`</li>`)
		}
		put(`</ul>`)
	}
	put(`<h2>Quantized</h2><p class="meta">Weights before (grey) and after (blue); heights are square roots of ` +
		`counts.</p><div class="cards">`)
	for i := range r.Tensors {
		if t := &r.Tensors[i]; t.Scheme != nil {
			put(`<section><h3>%s</h3><p class="meta">%s · %s · %s %s %s %s</p>`, t.Name, t.ModuleType, joinSizes(t.Shape, " × ")+
				" "+t.DType,
				string(t.Scheme.WeightDType), string(t.Scheme.Mode), string(t.Scheme.Granularity),
				joinSizes(t.Scheme.BlockSize, " × "))
			b.WriteString(drawing(t.Histogram))
			put(`<dl><dt>size</dt><dd>%s → %s</dd><dt>#params</dt><dd>%d</dd>`, Size(t.BytesIn), Size(t.BytesOut), t.Parameters)
			for _, f := range t.Figures.list() {
				put(`<dt>%s</dt><dd>%s</dd>`, f[0], f[1])
			}
			put(`<dt>rule</dt><dd>%s</dd></dl></section>`, t.Rule)
		}
	}
	put(`</div><h2>Kept</h2><table><tr><th>tensor</th><th>shape</th><th>why</th></tr>`)
	for i := range r.Tensors {
		if t := &r.Tensors[i]; t.Scheme == nil {
			put(`<tr><td>%s</td><td>%s</td><td>%s</td></tr>`, t.Name, joinSizes(t.Shape, " × ")+" "+t.DType, t.Reason)
		}
	}
	put(`</table><h2>Recipe</h2><pre>%s</pre><p class="meta">Nibble %s</p>`, string(r.Recipe), r.Nibble)
	_, err := io.WriteString(w, b.String())
	return err
}

// list is the figures with their names; those that are null are left out.
func (f Figures) list() (out [][2]string) {
	add := func(name, format string, v *float64) {
		if v != nil {
			out = append(out, [2]string{name, fmt.Sprintf(format, *v)})
		}
	}
	add("error (RMSE)", "%.5g", f.RMSE)
	add("SQNR", "%.2f dB", f.SQNR)
	add("cosine", "%.6f", f.Cosine)
	add("largest error", "%.5g", f.MaxAbsError)
	return out
}

// Size prints bytes for people, in decimal units.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

const (
	drawingWidth  = 320.0
	drawingHeight = 84.0
)

// drawing is a histogram as SVG: what was there as an area, what came of it as bars.
func drawing(h *kernel.Histogram) string {
	if h == nil {
		return ""
	}
	from, to, most := kernel.Bins, 0, int32(1)
	for i := range kernel.Bins {
		if h.Before[i]+h.After[i] > 0 {
			from, to = min(from, i), max(to, i+1)
			most = max(most, h.Before[i], h.After[i])
		}
	}
	if from >= to {
		return ""
	}
	step := drawingWidth / float64(to-from)
	height := func(n int32) float64 { return drawingHeight * math.Sqrt(float64(n)/float64(most)) }
	var area, bars strings.Builder
	fmt.Fprintf(&area, "M0 %g", drawingHeight)
	for i := from; i < to; i++ {
		x := float64(i-from) * step
		fmt.Fprintf(&area, "V%.1fH%.1f", drawingHeight-height(h.Before[i]), x+step)
		if n := h.After[i]; n > 0 {
			fmt.Fprintf(&bars, "M%.1f %gv-%.1f", x+step/2, drawingHeight, height(n))
		}
	}
	width := 2 * h.Span() / kernel.Bins
	note := ""
	if h.Every > 1 {
		note = fmt.Sprintf(", one weight in %d", h.Every)
	}
	return fmt.Sprintf(`<svg viewBox="0 0 %g %g" preserveAspectRatio="none" role="img" aria-label="histogram"><path `+
		`class="before" d="%sV%gZ"/><path class="after" d="%s"/></svg><p `+
		`class="axis"><span>%.3g</span><span>%s</span><span>%.3g</span></p>`,
		drawingWidth, drawingHeight, area.String(), drawingHeight, bars.String(),
		float64(from-kernel.Bins/2)*width, strings.TrimPrefix(note, ", "), float64(to-kernel.Bins/2)*width)
}
