package main

import (
	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
)

// options name the command's option for what the core advises, which knows of none: by the code of an error, of a
// reason, or of an advice.
var options = map[string]string{
	string(fault.ChoosePart):       "--part NAME, once for each",
	string(fault.Unfit):            "--keep-unfit",
	string(fault.Tied):             "--include-embeddings",
	string(fault.NoneQuantized):    "--allow-none converts it all the same",
	mostKept(plan.IsEmbed):         "--include-embeddings",
	mostKept(coremltools.IsConv1D): "--module-type 'PATTERN=Conv1D'",
	mostKept(plan.IsExpert):        "--module-type 'PATTERN=Conv1d'",
	mostKept(plan.IsRouter):        "--module-type 'PATTERN=Linear'",
	mostKept(plan.Doubtful):        "--module-type 'PATTERN=CLASS'",
	mostKept(plan.NoLayer):         "--module-type 'PATTERN=CLASS'",
}

func mostKept(c plan.Code) string { return report.MostKept + string(c) }

// optionFor is the option that goes with an error, in brackets, and the error's code.
func optionFor(err error) string {
	code := string(fault.CodeOf(err))
	if code == "" {
		return ""
	}
	return option(code) + " [" + code + "]"
}

// option is the command's option for a code, in brackets; "" where there is none.
func option(code string) string {
	if text := options[code]; text != "" {
		return " (" + text + ")"
	}
	return ""
}
