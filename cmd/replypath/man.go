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
		Use:       "man PAGE",
		Short:     "Print a manual page: 8 is replypath(8), 5 is replypath.toml(5), NAME is replypath-NAME(7)",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"5", "8", "recipes", "status", "kernel", "proof", "doctor"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := manualPage(cmd.Root(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(p.stdout, text)
			return err
		},
	}
}

// manualPage returns a manual page in man(7) format.
func manualPage(root *cobra.Command, name string) (string, error) {
	page7 := func(brief string, markdown []byte) (string, error) {
		return manual.Page7("replypath-"+name, brief, markdown), nil
	}
	switch name {
	case "5":
		return manual.Page5(etc.Sample), nil
	case "8":
		return describeProgram(root).Page8(), nil
	case "recipes":
		return page7("what goes wrong with several uplinks, and what to do", etc.Recipes)
	case "status":
		return page7("status document, events and metrics of replypath(8)", etc.Status)
	}
	text, err := etc.Pages.ReadFile("doc/" + name + ".md")
	if err != nil {
		return "", err
	}
	briefs := map[string]string{
		"kernel": "rules, routes, sysctls and chains of replypath(8)",
		"proof":  "how replypath(8) proves the reply path",
		"doctor": "the findings of replypath doctor",
	}
	return page7(briefs[name], text)
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
