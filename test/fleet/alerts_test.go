package fleet

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const (
	rulesFile     = "../../etc/prometheus/replypath.rules.yml"
	rulesTestFile = "../../etc/prometheus/replypath.rules.test.yml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// promtool runs a test of promtool, and returns its output.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", rulesTestFile)
}

func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, rulesTestFile)
	all := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, rulesFile), -1)
	if len(all) < 10 {
		t.Fatalf("only %d alerts", len(all))
	}
	for _, m := range all {
		if !strings.Contains(tests, "alertname: "+m[1]+"\n        exp_alerts:\n") {
			t.Errorf("no test in which %s fires", m[1])
		}
		if !strings.Contains(tests, "{ eval_time: 15m, alertname: "+m[1]+", exp_alerts: [] }") {
			t.Errorf("no test in which %s is silent", m[1])
		}
	}
}

// wantDocumentedMetrics wants every metric in the text in the reference.
func wantDocumentedMetrics(t *testing.T, what, text string) {
	t.Helper()
	reference := read(t, "../../etc/status.md")
	for _, name := range regexp.MustCompile(`replypath_[a-z_]+`).FindAllString(text, -1) {
		if name = strings.TrimSuffix(name, "_bucket"); !strings.Contains(reference, "`"+name+"`") {
			t.Errorf("%s uses %s, which is not in etc/status.md", what, name)
		}
	}
}

func TestAlertsUseDocumentedMetrics(t *testing.T) {
	wantDocumentedMetrics(t, rulesFile, read(t, rulesFile))
}
