package perf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// BenchmarkProof measures the proof of 31 uplinks in both families, as verify --json reports its time.
func BenchmarkProof(b *testing.B) {
	w := world.ISPs(b, 31)
	w.Gateway.ServeTCP(box.ServedPort)
	dir := b.TempDir()
	config := filepath.Join(dir, "replypath.toml")
	var text strings.Builder
	for _, u := range w.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
	}
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	args := []string{"--config", config, "--state", dir}
	w.Gateway.Run(box.Binary, append([]string{"apply"}, args...)...)
	var took []float64 // milliseconds
	var questions float64
	for b.Loop() {
		var v struct {
			Result string
			Took   float64 `json:"took_seconds"`
			Paths  []struct{ Questions []struct{} }
		}
		out, _ := w.Gateway.Command(b.Context(), box.Binary, append([]string{"verify", "--json"}, args...)...).Output()
		if err := json.Unmarshal(out, &v); err != nil || v.Result != "yes" {
			b.Fatalf("%v: %s", err, out)
		}
		took, questions = append(took, 1000*v.Took), 0
		for _, p := range v.Paths {
			questions += float64(len(p.Questions))
		}
	}
	box.RequireBound(b, took, "ms/proof", 250)
	b.ReportMetric(questions, "questions")
}
