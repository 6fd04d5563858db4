package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestConfirmTime(t *testing.T) {
	for text, want := range map[string]string{"4": "write 4s", "0.5": "write 0.5s", "10ms": "at least 1s", "0s": "at least 1s", "soon": "such as 60s", "60s": ""} {
		if err := new(confirmTime).Set(text); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// The time may be left out, be in the word of the flag, or in the next one.
func TestConfirmHasADefault(t *testing.T) {
	for line, want := range map[string]time.Duration{"--confirm": time.Minute, "--confirm=5s": 5 * time.Second, "--confirm 7s": 7 * time.Second, "--confirm --json": time.Minute} {
		cmd := new(program).applyCommand()
		if err := cmd.ParseFlags(strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		flag := cmd.Flags().Lookup("confirm").Value.(*confirmTime)
		args := cmd.Flags().Args()
		if err := cmd.Args(cmd, args); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if len(args) > 0 {
			if err := flag.Set(args[0]); err != nil {
				t.Fatal(err)
			}
		}
		if flag.duration != want {
			t.Errorf("%s: %s, want %s", line, flag.duration, want)
		}
	}
	for _, line := range []string{"7s", "--confirm=5s 7s", "--confirm 7s 8s"} {
		cmd := new(program).applyCommand()
		if err := cmd.ParseFlags(strings.Fields(line)); err != nil && err != pflag.ErrHelp {
			t.Fatal(err)
		}
		if err := cmd.Args(cmd, cmd.Flags().Args()); err == nil {
			t.Errorf("%s is accepted", line)
		}
	}
}

func TestEqualTextsAreLabelledOnce(t *testing.T) {
	var all labelled
	for _, path := range []string{"a IPv4", "a IPv6", "b IPv4"} {
		all.add(path, "shown: unknown")
	}
	all.add("b IPv6", "shown: no")
	if len(all) != 2 || strings.Join(all[0].labels, ", ") != "a IPv4, a IPv6, b IPv4" || all[1].text != "shown: no" {
		t.Errorf("%+v", all)
	}
}
