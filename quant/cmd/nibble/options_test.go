package main

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"
)

// Every option that a command takes is in --help, and every option of --help is in docs/command.md with the commands
// that take it; neither names one that is not there.
func TestEveryOptionIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/command.md")
	if err != nil {
		t.Fatal(err)
	}
	takers := map[string][]string{}
	for command := range commands {
		c := &call{}
		c.flags(command, func() {}).VisitAll(func(f *flag.Flag) {
			name := "--" + f.Name
			if len(f.Name) == 1 {
				name = "-" + f.Name
			}
			takers[name] = append(takers[name], command)
		})
	}
	option := regexp.MustCompile(`(?:^|[\s\[(|\x60])(--[a-z][a-z-]+|-[a-z])\b`)
	inHelp := map[string]bool{}
	for _, found := range option.FindAllStringSubmatch(usage, -1) {
		inHelp[found[1]] = true
		if takers[found[1]] == nil && found[1] != "--help" {
			t.Errorf("--help has the option %s, which no command takes", found[1])
		}
	}
	rows := map[string]string{}
	row := regexp.MustCompile(`(?m)^\| (\x60-[^|]+) \| ([^|]+) \|`)
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		for _, name := range option.FindAllStringSubmatch(found[1], -1) {
			rows[name[1]] = found[2]
			if takers[name[1]] == nil {
				t.Errorf("docs/command.md has the option %s, which no command takes", name[1])
			}
		}
	}
	if len(takers) < 20 || len(rows) < 20 {
		t.Fatalf("only %d options and %d rows were found", len(takers), len(rows))
	}
	for name, of := range takers {
		if !inHelp[name] {
			t.Errorf("--help lacks the option %s", name)
		}
		want := ""
		if len(of) == len(commands) {
			want = "all"
		}
		for _, command := range []string{"inspect", "plan", "convert", "verify", "python", "version"} {
			if want != "all" && slices.Contains(of, command) {
				if want != "" {
					want += ", "
				}
				want += command
			}
		}
		if rows[name] != want {
			t.Errorf("docs/command.md says that %s is of %q; it is of %q", name, rows[name], want)
		}
	}
}
