package main

import (
	"fmt"
	"strings"

	"replypath/cmd/internal/manual"
	"replypath/etc"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand prints the manual pages. They are generated at installation.
func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "man SECTION",
		Short:     "Print the manual page replypath(8), replypath.toml(5) or replypath-recipes(7)",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"5", "7", "8"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var text string
			switch args[0] {
			case "5":
				text = manual.Page5(etc.Sample)
			case "7":
				text = manual.Page7(etc.Recipes)
			case "8":
				text = describeProgram(cmd.Root()).Page8()
			}
			_, err := fmt.Fprint(p.stdout, text)
			return err
		},
	}
}

// describeProgram returns the description of the program from its help.
func describeProgram(root *cobra.Command) manual.Program {
	brief := strings.ToLower(root.Short[:1]) + root.Short[1:]
	d := manual.Program{Name: root.Name(), Brief: brief, Long: root.Long, Options: describeOptions(root.PersistentFlags())}
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		text := c.Long
		if text == "" || c.HasSubCommands() {
			text = c.Short + "."
		}
		d.Commands = append(d.Commands, manual.Command{Usage: c.Use, Text: text, Options: describeOptions(c.LocalNonPersistentFlags())})
	}
	return d
}

func describeOptions(flags *pflag.FlagSet) (all []manual.Option) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		usage := strings.TrimSpace("--" + f.Name + " " + value)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0s" {
			text += " (default " + f.DefValue + ")"
		}
		all = append(all, manual.Option{Usage: usage, Text: text})
	})
	return all
}
