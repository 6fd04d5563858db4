package config

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"replypath/etc"
)

// readText reads a configuration of one file.
func readText(t *testing.T, text []byte) Config {
	t.Helper()
	c, err := readConfig(writeFiles(t, map[string]string{"replypath.toml": string(text)}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSampleShowsTheDefaults(t *testing.T) {
	on := regexp.MustCompile(`(?m)^# (\w+ *=)`).ReplaceAll(etc.Sample, []byte("$1"))
	if bytes.Equal(on, etc.Sample) {
		t.Fatal("the sample has no commented-out default")
	}
	sample := readText(t, etc.Sample)
	if diff := cmp.Diff(sample, readText(t, on), byValue); diff != "" {
		t.Errorf("with every default uncommented (-without +with):\n%s", diff)
	}
	if len(sample.Uplinks) != 2 {
		t.Errorf("the sample has %d uplinks, want 2", len(sample.Uplinks))
	}
}

func TestSampleShowsEveryKey(t *testing.T) {
	for _, known := range []keys{topKeys, uplinkKeys, probeKeys, endpointKeys, proofKeys, udpKeys, interceptionKeys, interceptKeys, outboundKeys, policyKeys, steeringKeys} {
		for _, k := range known {
			if !regexp.MustCompile(`(?m)^(# |#   )?` + k.name + ` *=|^\[uplinks\.(\w+\.)?` + k.name + `\b|^(#   )?\[(outbound\.)?` + k.name + `\b`).Match(etc.Sample) {
				t.Errorf("the sample does not show the key %s", k.name)
			}
		}
	}
}
