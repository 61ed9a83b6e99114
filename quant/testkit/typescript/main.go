// Command typescript makes the types of package protocol, and what hangs on them, in TypeScript. It writes the file
// that is named, or prints it. ./build.sh generate makes site/src/shared/protocol.ts of it by go generate; ./build.sh
// check fails when running it again would change the file.
//
// It follows what encoding/json does: names of tags, pointers as null, embedded structs as extended interfaces. Types
// of text that have a list of values become unions of these. There are libraries for this; none of them knows what is
// null from what is left out without tags for TypeScript in the core.
package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/plan"
	"nibble/quant/protocol"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/recipe/target"
	"nibble/quant/report"
	"nibble/quant/scheme"
	"nibble/quant/verify"
)

// roots are what the page is sent and sends.
var roots = []any{
	protocol.InspectRequest{}, protocol.Inspection{}, protocol.PlanRequest{}, report.Report{}, protocol.MeasureRequest{},
	report.Figures{},
	protocol.ConvertRequest{}, protocol.ReportRequest{}, protocol.PythonRequest{}, protocol.Exported{}, verify.Report{},
	protocol.Memory{},
	protocol.Failure{},
}

// named are types whose own names say too little outside their packages.
var named = map[reflect.Type]string{
	reflect.TypeFor[report.Tensor](): "TensorRow", reflect.TypeFor[report.File](): "FileRow",
	reflect.TypeFor[verify.Report](): "Verification", reflect.TypeFor[verify.Row](): "VerifiedRow",
	reflect.TypeFor[plan.Code](): "ReasonCode", reflect.TypeFor[fault.Code](): "FaultCode",
	reflect.TypeFor[fault.Kind]():  "FailureKind",
	reflect.TypeFor[scheme.Mode](): "SchemeMode", reflect.TypeFor[plan.Reason](): "Reason",
	reflect.TypeFor[report.Warning](): "Warning", reflect.TypeFor[plan.Source](): "ClassSource",
}

// values are those of types of text.
func values() map[string][]string {
	reasons := maps.Clone(plan.Own)
	maps.Copy(reasons, coremltools.Own)
	out := map[string][]string{
		"FailureKind": {string(fault.Format), string(fault.Unsupported), string(protocol.Machine), string(protocol.Internal),
			string(protocol.Cancelled)},
		"SchemeMode":  {string(scheme.Symmetric), string(scheme.Affine)},
		"Granularity": {string(scheme.PerTensor), string(scheme.PerChannel), string(scheme.PerBlock)},
		"HighNibble":  container.HighNibbles,
		"Verdict":     {string(report.Quantized), string(report.Kept)},
		"ClassSource": {""},
		"FaultCode":   {""},
		"ReasonCode":  {}, "KeptCode": {}, "RemedyCode": {}, "WeightDType": {}, "ContainerName": {},
		"RuntimeName": {}, "ClassName": {},
	}
	add := func(name, value string) { out[name] = append(out[name], value) }
	for _, c := range fault.Codes {
		add("FaultCode", string(c))
	}
	for _, c := range slices.Sorted(maps.Keys(reasons)) {
		add("ReasonCode", string(c))
		if reasons[c].Many != "" {
			add("KeptCode", string(c))
		}
		if reasons[c].Remedy != "" {
			add("RemedyCode", string(c))
		}
	}
	for _, d := range scheme.DTypes {
		add("WeightDType", string(d))
	}
	for _, row := range container.Table {
		add("ContainerName", row.Name)
	}
	for _, row := range target.Table {
		add("RuntimeName", row.Name)
	}
	for _, c := range layer.Table {
		add("ClassName", c.Name)
	}
	for _, s := range plan.Sources {
		add("ClassSource", string(s))
	}
	for _, c := range report.AdviceCodes {
		add("AdviceCode", string(c))
	}
	for _, c := range report.WarningCodes {
		add("WarningCode", string(c))
	}
	return out
}

func main() {
	if len(os.Args) < 2 {
		write(os.Stdout)
		return
	}
	var b bytes.Buffer
	write(&b)
	if err := os.WriteFile(os.Args[1], b.Bytes(), 0o666); err != nil {
		fmt.Fprintln(os.Stderr, "typescript:", err)
		os.Exit(1)
	}
}

// write prints the file.
func write(w io.Writer) {
	g := &generator{names: map[reflect.Type]string{}}
	var body strings.Builder
	for _, root := range roots {
		g.name(reflect.TypeOf(root))
	}
	for len(g.todo) > 0 {
		t := g.todo[0]
		g.todo = g.todo[1:]
		g.body(&body, t)
	}
	fmt.Fprint(w, "// Made by ./build.sh generate of the Go types in quant/protocol, where they are explained. Not to "+
		"be edited.\n\n")
	fmt.Fprintf(w, "export const PROTOCOL = %d\n\n", protocol.Version)
	all := values()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var quoted []string
		for _, v := range all[name] {
			quoted = append(quoted, "'"+v+"'")
		}
		fmt.Fprintf(w, "export type %s =\n", name)
		line := ""
		for _, v := range quoted {
			if line != "" && len(line)+len(v) > 110 {
				fmt.Fprintf(w, " %s\n", line)
				line = ""
			}
			line += " | " + v
		}
		fmt.Fprintf(w, " %s\n", line)
	}
	fmt.Fprint(w, "\n/** A reason's code and its arguments; as an argument of another, one list. */\n")
	fmt.Fprint(w, "export type ReasonArg = string | Reason\nexport type Reason = [ReasonCode, ...ReasonArg[]]\n",
		body.String())
}

// generator names types, and remembers those whose bodies are not written yet.
type generator struct {
	names map[reflect.Type]string
	todo  []reflect.Type
}

// name is a type in TypeScript.
func (g *generator) name(t reflect.Type) string {
	own := named[t]
	if own == "" {
		own = t.Name()
	}
	text := t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	switch {
	case t == reflect.TypeFor[plan.Reason]():
		return own
	case t == reflect.TypeFor[json.RawMessage]():
		return "unknown"
	case text:
		return "string"
	}
	switch t.Kind() {
	case reflect.String:
		if _, listed := values()[own]; listed {
			return own
		}
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Pointer:
		return g.name(t.Elem()) + " | null"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Interface {
			return "ReasonArg[]"
		}
		return g.name(t.Elem()) + "[]"
	case reflect.Struct:
		if g.names[t] == "" {
			g.names[t], g.todo = own, append(g.todo, t)
		}
		return g.names[t]
	}
	return "number"
}

// body is an interface.
func (g *generator) body(w io.Writer, t reflect.Type) {
	var extends, fields []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			extends = append(extends, g.name(f.Type))
		case !f.IsExported(), tag == "-":
		default:
			optional := ""
			if strings.Contains(rest, "omit") {
				optional = "?"
			}
			kind := g.name(f.Type)
			if nilable := f.Type.Kind() == reflect.Slice && strings.Contains(f.Tag.Get("null"), "yes"); nilable {
				kind += " | null"
			}
			fields = append(fields, fmt.Sprintf("  %s%s: %s\n", tag, optional, kind))
		}
	}
	head := ""
	if len(extends) > 0 {
		head = " extends " + strings.Join(extends, ", ")
	}
	fmt.Fprintf(w, "\nexport interface %s%s {\n%s}\n", g.names[t], head, strings.Join(fields, ""))
}
